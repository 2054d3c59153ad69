//! The list of source formats.

use std::fmt;

use super::csv::Csv;
use super::format::{Layout, SourceFormat};
use super::json::Json;

/// All source formats. Messages name them in this order.
pub const FORMATS: &[&dyn SourceFormat] = &[&Csv, &Json];

/// The format of one source, with its layout.
#[derive(Clone)]
pub struct Format {
    /// The format.
    pub of: &'static dyn SourceFormat,
    /// The layout of the file.
    pub layout: Layout,
}

/// Returns the format with this name or ending.
pub fn format_named(name: &str) -> Option<&'static dyn SourceFormat> {
    FORMATS.iter().find(|format| format.name() == name || format.other_endings().contains(&name)).copied()
}

/// Names the formats that hold rows, or else trees, for messages: `CSV`.
pub fn names_of_formats(has_rows: bool) -> String {
    let formats = FORMATS.iter().filter(|format| format.has_rows() == has_rows);
    formats.map(|format| format.name().to_uppercase()).collect::<Vec<_>>().join(" or ")
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.of.name() == other.of.name() && self.layout == other.layout
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.of.name(), self.layout)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn messages_name_each_format_either_as_rows_or_as_a_tree() {
        for format in FORMATS {
            let names = |has_rows| names_of_formats(has_rows).contains(&format.name().to_uppercase());
            assert_eq!((names(format.has_rows()), names(!format.has_rows())), (true, false));
        }
    }

    #[test]
    fn each_name_and_ending_belongs_to_one_format() {
        let mut known = HashSet::new();
        for format in FORMATS {
            for name in format.other_endings().iter().chain([&format.name()]) {
                assert!(known.insert(*name), "{name} is listed twice");
                assert_eq!(format_named(name).map(SourceFormat::name), Some(format.name()));
            }
        }
    }
}
