//! The categories of an event, as one text: a hostile file has a million of them.

use std::sync::Arc;

/// Names of categories; clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories(Arc<str>);

impl Categories {
    /// Returns the names, in the order written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    /// Returns the length of all names together, in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// Trims the names. A line break within a name becomes a blank.
impl<S: AsRef<str>> FromIterator<S> for Categories {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let names = names.into_iter().map(|name| name.as_ref().trim().replace(['\n', '\r'], " "));
        Self(names.collect::<Vec<_>>().join("\n").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_kept_in_order() {
        let names = |given: &[&str]| {
            given.iter().collect::<Categories>().names().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names(&[" Bank ", "two\nlines"]), ["Bank", "two lines"]);
        assert_eq!(names(&[]), Vec::<String>::new());
    }
}
