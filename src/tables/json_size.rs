//! The size of JSON text, measured before parsing: depth, number of values, and weight.

/// The estimated cost of parsing JSON text; invalid JSON has a size too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonSize {
    /// The nesting depth of arrays and objects.
    pub depth: usize,
    /// An upper bound on the number of values, including arrays, objects and keys.
    pub values: usize,
    /// The number of bytes, each counted once for every array and object around it.
    pub weight: usize,
}

impl JsonSize {
    /// Measures text in one pass, without recursion.
    pub fn of(text: &[u8]) -> Self {
        let mut size = Self { values: 1, ..Self::default() };
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for byte in text {
            size.weight += depth;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'[' | b'{' => {
                    depth += 1;
                    size.depth = size.depth.max(depth);
                    size.values += 1;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' | b':' => size.values += 1,
                _ => {}
            }
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_text_do_not_count() {
        for (text, depth, values) in [
            ("1", 0, 1),
            ("[]", 1, 2),
            ("[1,[2]]", 2, 4),
            (r#"{"a": {"b": 1}}"#, 2, 5),
            (r#"["[[[\"[,,", 1]"#, 1, 3),
            ("]]]", 0, 1),
        ] {
            let size = JsonSize::of(text.as_bytes());
            assert_eq!((size.depth, size.values), (depth, values), "{text}");
        }
        assert_eq!(JsonSize::of(b"[[1]]").weight, 1 + 2 + 2 + 1);
    }
}
