//! Lengths of time in settings notation.

use std::time::Duration;

/// Formats a length in the units that settings use: `31d`, `2h 30m`, `1s 500ms`.
///
/// Months are not used, because their lengths vary.
pub fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(length.subsec_millis()), "ms"),
    ];
    let written: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if written.is_empty() { "0s".to_owned() } else { written.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_it_is_written() {
        for text in ["31d", "7d", "1d 12h", "2h 30m", "90d", "45s", "1s 500ms", "0s"] {
            assert_eq!(length(humantime::parse_duration(text).unwrap()), text);
        }
    }
}
