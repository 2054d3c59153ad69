//! Lines of a CSV file.

/// Adds a line of fields (RFC 4180, 2).
pub fn line(text: &mut String, fields: impl Iterator<Item = String>) {
    let quoted = fields.map(|field| match field.contains([',', '"', '\n', '\r']) || field.trim() != field {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    });
    text.push_str(&quoted.collect::<Vec<_>>().join(","));
    text.push('\n');
}
