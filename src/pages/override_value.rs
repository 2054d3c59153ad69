//! The value that a user types for an override: of the kind of the value it replaces.

use serde_json::Value;

use crate::model::{Instant, Problem, Variable};

use super::{Definition, UntypedValue};

/// Checks that a typed value is of the same kind as the value it replaces.
///
/// # Errors
/// The expected kind, with an example.
pub fn check_kind(
    variable: &Variable,
    text: &str,
    computed: &Definition,
    at: Instant,
) -> Result<(), Problem> {
    typed(text, &replaced(computed, at)).map(drop).map_err(|expected| {
        let Expected { kind, example } = expected;
        let shown: String = text.chars().take(60).collect();
        Problem::new(format!("invalid value `{}` for {variable}: expected {kind}", shown))
            .hint(format!("write --value {variable}={example}"))
    })
}

/// The kind of value that is expected, and an example.
pub(super) struct Expected {
    kind: &'static str,
    example: &'static str,
}

/// Returns the value that an override replaces.
///
/// It is null if the value is unknown, or if the schema decides its kind.
pub(super) fn replaced(computed: &Definition, at: Instant) -> Value {
    match computed.evaluate(at).map(|evaluated| evaluated.value) {
        Ok(UntypedValue::Json(value)) => value,
        Ok(UntypedValue::Object(_)) => Value::Object(serde_json::Map::new()),
        Ok(UntypedValue::List(_)) => Value::Array(Vec::new()),
        Ok(UntypedValue::Cell(_)) => Value::String(String::new()),
        Err(_) => Value::Null,
    }
}

/// Returns true for a finite number, which agents can represent.
fn is_number(value: &Value) -> bool {
    value.is_number() && value.as_f64().is_some_and(f64::is_finite)
}

/// Parses text as a value of the kind it replaces; returns none if the schema types it.
pub(super) fn typed(text: &str, replaced: &Value) -> Result<Option<Value>, Expected> {
    let parsed: Option<Value> = serde_json::from_str(text.trim()).ok();
    let is_null = parsed == Some(Value::Null);
    match replaced {
        Value::Bool(_) => match text.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(Value::Bool(true))),
            "false" => Ok(Some(Value::Bool(false))),
            _ => Err(Expected { kind: "true or false", example: "false" }),
        },
        Value::Number(_) => {
            parsed.filter(is_number).map(Some).ok_or(Expected { kind: "a number", example: "17" })
        }
        Value::Object(_) => {
            let expected = Expected { kind: "a JSON object", example: "'{\"key\": \"value\"}'" };
            parsed.filter(Value::is_object).map(Some).ok_or(expected)
        }
        Value::Array(_) => {
            let expected = Expected { kind: "a JSON array", example: "'[\"a\", \"b\"]'" };
            parsed.filter(Value::is_array).map(Some).ok_or(expected)
        }
        Value::String(_) if is_null => Err(Expected { kind: "text", example: "\"\"" }),
        // A JSON string means its content. The schema types other text.
        Value::String(_) => Ok(parsed.filter(Value::is_string)),
        Value::Null => {
            let is_whole = |value: &Value| value.is_object() || value.is_array() || value.is_null();
            Ok(parsed.filter(is_whole))
        }
    }
}
