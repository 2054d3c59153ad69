//! Estimates the work to match a pattern against a text before matching. A pattern without
//! look-around is matched in one pass over all its states; with look-around every position may
//! start another pass.

/// States times characters that are matched in the time of one validator step.
const PER_STEP: u64 = 4_096;
/// Characters that look-around passes cover in the time of one step.
const LOOK_AROUND_PER_STEP: u64 = 64;
/// Minimum steps of a match with look-around: it may backtrack as often as `MAX_PATTERN_STEPS` allows.
const LOOK_AROUND_STEPS: u64 = 100;
/// Maximum states of a pattern that compiles.
const STATES_COUNTED: u64 = 30_000;

/// Returns the maximum number of steps to match a pattern against a text.
pub(super) fn steps(pattern: &str, text: &str) -> u64 {
    let length = text.len() as u64;
    let passes = match has_look_around(pattern) {
        true => LOOK_AROUND_STEPS + length.saturating_mul(length) / LOOK_AROUND_PER_STEP,
        false => 0,
    };
    (length.saturating_mul(states(pattern)) / PER_STEP).saturating_add(passes)
}

/// True for a pattern that the linear engine does not support.
fn has_look_around(pattern: &str) -> bool {
    let refers_back =
        || pattern.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && (b'1'..=b'9').contains(&pair[1]));
    ["(?=", "(?!", "(?<=", "(?<!", "\\k"].iter().any(|sign| pattern.contains(sign)) || refers_back()
}

/// Estimates a pattern's states: its length times the product of its counted repetitions.
fn states(pattern: &str) -> u64 {
    let counts = pattern.split('{').skip(1).filter_map(|rest| {
        let (count, _) = rest.split_once('}')?;
        let (least, most) = count.split_once(',').unwrap_or((count, count));
        let number = if most.trim().is_empty() { least } else { most };
        number.trim().parse::<u64>().ok()
    });
    let times = counts.fold(1_u64, |times, count| times.saturating_mul(count.max(1)));
    (pattern.len() as u64).saturating_mul(times).clamp(1, STATES_COUNTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookaround_costs_once_per_position_and_nested_repetitions_multiply() {
        for (pattern, length, least, most) in [
            ("^[0-9]{2}:[0-9]{2}$", 5, 0, 0),
            ("^.{1,500}$", 500, 400, 1_000),
            ("x", 1_500_000, 300, 400),
            ("(a{1,500}){1,50}", 10_000, 70_000, 80_000),
            ("(?=.*[0-9])(?=.*[a-z]).{8,}x", 1_500_000, 1_000_000_000, u64::MAX),
            ("(?=.*[0-9]).{8,}", 100, 200, 300),
            (r"(a)\1", 10_000, 1_000_000, u64::MAX),
        ] {
            let steps = steps(pattern, &"a".repeat(length));
            assert!((least..=most).contains(&steps), "{pattern}: {steps}");
        }
    }
}
