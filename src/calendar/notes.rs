//! Warnings about oddities in a calendar that do not affect when its events happen.
//!
//! Each kind is reported once.

use std::cell::RefCell;

use crate::model::{Origin, Problem};

/// The warnings of one file: the first place of each kind, and a count of the rest.
#[derive(Debug, Default)]
pub struct Notes(RefCell<Vec<Note>>);

#[derive(Debug)]
struct Note {
    kind: &'static str,
    origin: Origin,
    message: String,
    others: usize,
}

impl Notes {
    /// Notes an oddity; `message` names it and states the assumption made.
    pub fn note(&self, kind: &'static str, origin: &Origin, message: impl Into<String>) {
        let mut notes = self.0.borrow_mut();
        match notes.iter_mut().find(|note| note.kind == kind) {
            Some(known) => known.others += 1,
            None => notes.push(Note { kind, origin: origin.clone(), message: message.into(), others: 0 }),
        }
    }

    /// Returns the warnings, in the order in which they were first noted.
    pub fn into_problems(self) -> Vec<Problem> {
        let warning = |note: Note| {
            let others = match note.others {
                0 => String::new(),
                1 => " (and once more in this file)".to_owned(),
                count => format!(" (and {count} more times in this file)"),
            };
            Problem::at(&note.origin, note.message + &others).warning()
        };
        self.0.into_inner().into_iter().map(warning).collect()
    }
}
