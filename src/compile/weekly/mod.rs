//! Weekly hours, in each notation: one file and one entry of [`NOTATIONS`] each.

mod google;
mod json;
mod notation;
mod schema_org;
mod table;
mod text;

use crate::model::Problem;
use crate::written::{Fields, Reader};

use super::compiler::Compiler;
use super::formats::Published;
use notation::Notation;

pub(super) use text::day_text;

/// All notations; exactly one is needed. Messages name them in this order.
const NOTATIONS: &[&dyn Notation] =
    &[&text::Weekly, &table::WeeklyFrom, &google::Google, &schema_org::SchemaOrg];

/// Returns the keys of weekly hours.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    NOTATIONS.iter().map(|notation| notation.key())
}

impl Compiler<'_> {
    /// Reads the weekly hours, and those published with them, from the one key that is set.
    pub(super) fn published(&self, reader: &Reader, fields: &Fields) -> Option<Published> {
        let given = NOTATIONS.iter().filter_map(|notation| Some((notation, fields.get(notation.key())?)));
        let given: Vec<_> = given.collect();
        if let [(notation, node)] = given.as_slice() {
            return self.or_mark_all(node, || notation.read(self, reader, node));
        }
        let names: Vec<&str> = given.iter().map(|(notation, _)| notation.key()).collect();
        if names.is_empty() && keys().any(|key| fields.is_misspelled(reader, key)) {
            return None;
        }
        reader.note(match names.as_slice() {
            [] => Problem::at(fields.origin, "hours needs \"weekly\"").hint(format!("set {}", any_of_keys())),
            several => {
                let message = format!("the weekly hours are set more than once: {}", several.join(" and "));
                Problem::at(fields.origin, message).hint("keep one of them")
            }
        });
        None
    }
}

fn any_of_keys() -> String {
    let keys: Vec<&str> = keys().collect();
    match keys.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
