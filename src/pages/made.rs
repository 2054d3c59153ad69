//! Values on a page that are made for rows of a table.

use std::sync::Arc;

use crate::hours::Hours;
use crate::model::{Row, Variable};

use super::{Definition, Owned, Page};

/// A value on a page that is made for a row of a table.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// The row.
    pub row: &'a Row,
    /// The definition of the value.
    pub definition: &'a Definition,
    /// The variable; none for an item within one.
    pub variable: Option<&'a Variable>,
}

impl Page {
    /// Returns everything on the page that is made for a row of a table.
    pub fn made_for_rows(&self) -> Vec<Made<'_>> {
        let mut found = Vec::new();
        for owned in &*self.variables {
            let Owned { variable, definition, row } = owned;
            found.extend(row.as_ref().map(|row| Made { row, definition, variable: Some(variable) }));
            items_for_rows(definition, &mut found);
        }
        found
    }

    /// Returns the hours that the page shows, without those made for rows of a table.
    pub fn own_hours(&self) -> Vec<&Arc<Hours>> {
        let own = self.variables.iter().filter(|owned| owned.row.is_none());
        own.flat_map(|owned| own_hours(&owned.definition)).collect()
    }
}

fn items_for_rows<'a>(definition: &'a Definition, found: &mut Vec<Made<'a>>) {
    if let Definition::List { items, rows, .. } = definition {
        let items = rows.iter().zip(items);
        found.extend(items.map(|(row, definition)| Made { row, definition, variable: None }));
    }
    definition.parts().for_each(|part| items_for_rows(part, found));
}

fn own_hours(definition: &Definition) -> Vec<&Arc<Hours>> {
    match definition {
        Definition::Hours { hours, .. } => vec![hours],
        Definition::List { rows, .. } if !rows.is_empty() => Vec::new(),
        _ => definition.parts().flat_map(own_hours).collect(),
    }
}
