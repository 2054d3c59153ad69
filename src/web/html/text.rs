//! Times, values and states as people read them.

use maud::{Markup, html};
use serde_json::Value;

use crate::model::{Instant, PageId, shorten};
use crate::reconcile::Standing;
use crate::zone::{self, Zone};

/// The longest value in a list, in characters.
const VALUE_LENGTH: usize = 48;

/// Returns a local time, with the full time and its zone on hover.
pub fn time(zone: Zone, at: Instant) -> Markup {
    let local = zone::local(zone, at);
    html! {
        time datetime=(at.to_rfc3339()) title=(zone::show(zone, at)) { (local.format("%a %e %b %H:%M")) }
    }
}

/// Returns a local time and a countdown to it.
pub fn coming(zone: Zone, at: Instant, now: Instant) -> Markup {
    html! { (time(zone, at)) " " span.countdown data-until=(at.timestamp()) { "in " (length(at, now)) } }
}

/// Returns the time until an instant in its two largest units.
pub fn length(at: Instant, now: Instant) -> String {
    let seconds = (at - now).num_seconds().max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (1, ..) => format!("1 day {hours} h"),
        _ => format!("{days} days"),
    }
}

/// Returns a value, shortened, with more of it on hover.
pub fn value(value: &Value) -> Markup {
    html! { code title=(shorten(value, 2_000)) { (shorten(value, VALUE_LENGTH)) } }
}

/// Returns the state of a page as a coloured word.
pub fn standing(standing: &Standing) -> Markup {
    let class = match standing {
        Standing::Right => "good",
        Standing::Unseen | Standing::Retrying(_) => "waiting",
        Standing::Stale(_) | Standing::Drifted(_) => "odd",
        Standing::Stuck(_) | Standing::Held(_) => "bad",
    };
    html! { span.state.(class) { (standing.word()) } }
}

/// Returns the address of a page's view.
pub fn address(page: &PageId) -> String {
    let agent: String = form_urlencoded::byte_serialize(page.agent.as_bytes()).collect();
    format!("/pages/{}/{}", agent.replace('+', "%20"), page.environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_shows_its_two_largest_units() {
        let now: Instant = "2026-11-29T12:00:00Z".parse().unwrap();
        let after = |seconds| length(now + chrono::TimeDelta::seconds(seconds), now);
        let lengths: Vec<String> = [-5, 9, 60, 3_599, 3_600, 86_400, 200_000].map(after).into();
        assert_eq!(lengths, ["0 s", "9 s", "1 min", "59 min", "1 h 0 min", "1 day 0 h", "2 days"]);
    }
}
