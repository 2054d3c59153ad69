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
