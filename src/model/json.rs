//! Comparison and display of JSON values.

use serde_json::{Number, Value};

/// Returns true if two values are equivalent.
///
/// Numbers are compared by value (`8` equals `8.0`), objects ignoring the order of their keys. A
/// page that stores `8` where `8.0` was sent has not drifted.
pub fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_value(a, b)))
        }
        _ => a == b,
    }
}

fn same_number(a: &Number, b: &Number) -> bool {
    if a.as_str() == b.as_str() {
        return true;
    }
    match (a.as_i128(), b.as_i128()) {
        // Beyond 2^53, different integers may map to the same f64, so integers are compared
        // exactly.
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64().is_some() && a.as_f64() == b.as_f64(),
    }
}

/// Formats a value as one line of JSON, cut to `limit` characters, for messages and tables.
pub fn shorten(value: &Value, limit: usize) -> String {
    let text = value.to_string();
    if text.chars().count() <= limit {
        return text;
    }
    let mut cut: String = text.chars().take(limit.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Formats two values like [`shorten`]; different values give different texts.
///
/// A long start that both share is cut, too.
pub fn shorten_both(a: &Value, b: &Value, limit: usize) -> [String; 2] {
    let short = [shorten(a, limit), shorten(b, limit)];
    let [a, b] = [a, b].map(|value| value.to_string().chars().collect::<Vec<char>>());
    if short[0] != short[1] || a == b {
        return short;
    }
    let shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    [a, b].map(|text| {
        let from_there: String = text[shared.saturating_sub(limit / 4)..].iter().collect();
        let shown: String = from_there.chars().take(limit.saturating_sub(2)).collect();
        format!("…{shown}{}", if shown == from_there { "" } else { "…" })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_values_are_never_shortened_to_the_same_text() {
        let text = |end: &str| Value::from(format!("{}{end}", "0123456789".repeat(9)));
        let both = |a: &str, b: &str| shorten_both(&text(a), &text(b), 20);
        assert_eq!(both("yes", "no"), ["…56789yes\"", "…56789no\""]);
        assert_eq!(both("yes", "yes")[0], "\"012345678901234567…");
        let rest = "x".repeat(30);
        let [a, b] = both(&format!("a{rest}"), &format!("b{rest}"));
        assert_eq!((a.as_str(), b.as_str()), ("…56789axxxxxxxxxxxx…", "…56789bxxxxxxxxxxxx…"));
        assert_eq!(shorten_both(&1.into(), &text(""), 20), ["1", "\"012345678901234567…"]);
    }

    #[test]
    fn numbers_are_compared_by_value_and_large_integers_exactly() {
        let same = |a: &str, b: &str| {
            same_value(&serde_json::from_str(a).unwrap(), &serde_json::from_str(b).unwrap())
        };
        assert!(same("8", "8.0"));
        assert!(same("[1, {\"a\": 2, \"b\": 3}]", "[1.0, {\"b\": 3, \"a\": 2}]"));
        assert!(!same("9007199254740993", "9007199254740992"));
        assert!(!same("true", "\"true\""));
        assert!(!same("{\"a\": 1}", "{\"a\": 1, \"b\": null}"));
    }
}
