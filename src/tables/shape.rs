//! The shape of JSON text, measured before parsing: depth, number of values, and weight.

/// The estimated cost of parsing JSON text; invalid JSON has a shape too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The nesting depth of arrays and objects.
    pub depth: usize,
    /// An upper bound on the number of values, including arrays, objects and keys.
    pub values: usize,
    /// The number of bytes, each counted once for every array and object around it.
    pub weight: usize,
}

impl Shape {
    /// Measures text in one pass, without recursion.
    pub fn of(text: &[u8]) -> Self {
        let mut shape = Self { values: 1, ..Self::default() };
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for byte in text {
            shape.weight += depth;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'[' | b'{' => {
                    depth += 1;
                    shape.depth = shape.depth.max(depth);
                    shape.values += 1;
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' | b':' => shape.values += 1,
                _ => {}
            }
        }
        shape
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
            let shape = Shape::of(text.as_bytes());
            assert_eq!((shape.depth, shape.values), (depth, values), "{text}");
        }
        assert_eq!(Shape::of(b"[[1]]").weight, 1 + 2 + 2 + 1);
    }
}
