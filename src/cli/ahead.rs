//! Looks ahead at the values of pages: the problems that they will have.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::clock::thread_cpu_time;
use crate::compile::Managed;
use crate::limits::pages::{MAX_LOOK_AHEAD_STEPS, MAX_LOOK_AHEAD_TIME};
use crate::model::{Instant, Problem};
use crate::pages::Desired;
use crate::reconcile::Observed;
use crate::schema::Series;
use crate::zone;

use super::load;

/// The limits per page.
const BOUNDS: Bounds = Bounds { steps: MAX_LOOK_AHEAD_STEPS, time: MAX_LOOK_AHEAD_TIME };

/// Steps between two reads of the elapsed time, since each is a system call.
const STEPS_PER_TIME_CHECK: usize = 64;

/// The limits of a look-ahead.
#[derive(Clone, Copy)]
struct Bounds {
    steps: usize,
    time: Duration,
}

/// The result of a look-ahead at a page.
pub struct Ahead {
    /// The first problem of each kind.
    pub problems: Vec<Problem>,
    /// End of the period that was checked.
    pub to: Instant,
}

/// Returns the problems that the values of pages will have in a period, for each page.
///
/// The pages share their values, which are evaluated once for all of them. Without an observed page
/// nothing is checked against a schema.
pub fn look_ahead(pages: &[(&Managed, Option<&Observed>)], from: Instant, to: Instant) -> Vec<Ahead> {
    look_ahead_within(BOUNDS, pages, from, to)
}

fn look_ahead_within(
    bounds: Bounds,
    pages: &[(&Managed, Option<&Observed>)],
    from: Instant,
    to: Instant,
) -> Vec<Ahead> {
    let Some((first, _)) = pages.first() else { return Vec::new() };
    let (start, mut steps) = (thread_cpu_time(), 0);
    let mut scans: Vec<PageScan> =
        pages.iter().map(|(managed, observed)| PageScan::new(managed, *observed)).collect();
    let time = bounds.time * u32::try_from(pages.len()).unwrap_or(1);
    let mut cut_short_at = None;
    first.page.walk(from, to, |at, desired| {
        // The values at the start are always checked, however little time there is. During the
        // first steps the time is read at each one: a page whose steps take seconds has only few.
        let is_time_checked =
            steps > 0 && (steps < STEPS_PER_TIME_CHECK || steps % STEPS_PER_TIME_CHECK == 0);
        let is_over = || is_time_checked && thread_cpu_time().saturating_sub(start) >= time;
        if steps == bounds.steps || is_over() {
            cut_short_at = Some(at);
            return ControlFlow::Break(());
        }
        steps += 1;
        scans.iter_mut().for_each(|scan| scan.see(at, &desired));
        ControlFlow::Continue(())
    });
    scans.into_iter().map(|scan| scan.end(cut_short_at, to)).collect()
}

/// A look-ahead at one page.
struct PageScan<'a> {
    managed: &'a Managed,
    observed: Option<&'a Observed>,
    /// The checks of its values; none without a schema that can be used.
    series: Option<Series<'a>>,
    /// The problems as found, one of each kind.
    known: Vec<Problem>,
    /// The same with page and time.
    reported: Vec<Problem>,
}

impl<'a> PageScan<'a> {
    fn new(managed: &'a Managed, observed: Option<&'a Observed>) -> Self {
        let series =
            observed.and_then(|observed| Some(Series::new(&observed.page, observed.schema.as_ref().ok()?)));
        Self { managed, observed, series, known: Vec::new(), reported: Vec::new() }
    }

    fn see(&mut self, at: Instant, desired: &Result<&Desired, Vec<Problem>>) {
        let problems = match (desired, self.observed) {
            (Err(problems), _) => problems.clone(),
            (Ok(_), None) => return,
            (Ok(desired), Some(_)) if self.series.as_mut().is_some_and(|series| series.accepts(desired)) => {
                return;
            }
            (Ok(desired), Some(observed)) => {
                observed.problems(&Desired { page: self.managed.page.id.clone(), ..Desired::clone(desired) })
            }
        };
        problems.into_iter().for_each(|problem| self.add(problem, at));
    }

    fn add(&mut self, problem: Problem, at: Instant) {
        // A cell that is wrong every day is one problem.
        let is_new = self.known.iter().all(|known| {
            (&known.origin, &known.hint) != (&problem.origin, &problem.hint)
                || known.origin.is_none() && known.message != problem.message
        });
        if is_new {
            let when = format!("{} at {}", self.managed.page.id, zone::show(load::zone(self.managed), at));
            self.reported.push(problem.clone().about(when));
            self.known.push(problem);
        }
    }

    fn end(mut self, cut_short_at: Option<Instant>, to: Instant) -> Ahead {
        if let Some(at) = cut_short_at {
            let message = format!(
                "{} changes so often, or takes so long to compute, that it was checked only up to {}",
                self.managed.page.id,
                at.date_naive()
            );
            self.reported.push(Problem::new(message).warning());
        }
        Ahead { problems: self.reported, to: cut_short_at.unwrap_or(to) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::compile::{Inputs, World};
    use crate::limits::time::HORIZON;
    use crate::model::Instant;
    use crate::settings::{Settings, Surroundings};

    use super::{Ahead, Bounds, look_ahead_within};

    /// Looks ahead at a page with one variable.
    fn scan(bounds: Bounds, variable: &str) -> (Vec<String>, Ahead) {
        let settings = format!(
            "timezone = \"Europe/London\"\n[api]\nregion = \"uk\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ a = {{ {variable} }} }}\n"
        );
        let settings =
            Settings::parse(Path::new("/rtconfd.toml"), settings.as_bytes(), &Surroundings::default());
        let settings = settings.unwrap_or_else(|report| panic!("{}", report.render(false)));
        let from: Instant = "2026-11-27T00:00:00Z".parse().unwrap();
        let world = World::over(&settings.blueprint, &Inputs::default(), from, from + HORIZON, None);
        let ahead = look_ahead_within(bounds, &[(&world.pages[0], None)], from, from + HORIZON).remove(0);
        (ahead.problems.iter().map(ToString::to_string).collect(), ahead)
    }

    #[test]
    fn a_page_with_missing_values_is_checked_hourly_for_a_week_and_then_daily() {
        let bounds = Bounds { steps: 700, time: Duration::from_secs(600) };
        let half_past = "hours = { weekly = \"24/7\", special = { \"2026-11-27\" = \"09:30-17:30\" } }, show = \"opens_at\", format = \"hour\"";
        let always = half_past.replace("24/7", "Mo-Su 09:30-17:30");
        for (variable, reported) in [(half_past, 1), (always.as_str(), 1)] {
            let (problems, ahead) = scan(bounds, variable);
            assert_eq!(problems.len(), reported, "{problems:?}");
            assert!(ahead.to == "2028-01-01T00:00:00Z".parse::<Instant>().unwrap(), "{}", ahead.to);
        }
    }

    #[test]
    fn a_page_that_takes_too_long_is_reported_with_the_date_checked_up_to() {
        let often = "when = [{ cron = \"*/10 * * * *\", for = \"1m\", value = 1 }], otherwise = 2";
        for bounds in [
            Bounds { steps: 1_000, time: Duration::from_secs(600) },
            Bounds { steps: 80_000, time: Duration::ZERO },
        ] {
            let (problems, ahead) = scan(bounds, often);
            let day = ahead.to.date_naive();
            let expected = format!(
                "A-1/live changes so often, or takes so long to compute, that it was checked only up to {day}"
            );
            assert!(problems.len() == 1 && problems[0].contains(&expected), "{problems:?}");
        }
    }
}
