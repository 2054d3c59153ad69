//! `{{ row.x }}`: text with cells of a table's row in it, filled in by minijinja within a fixed amount of work.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior};

use crate::model::{Origin, Problem, Row, nearest};

use super::Text;

/// Instructions one template may run; a plain substitution needs fewer than ten.
const FUEL: u64 = 10_000;

/// Whether text has something to fill in.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Fills in a template for one row. What comes out stands where the first cell in it stands, so
/// that a later complaint names the cell and not the template.
pub fn render(template: &str, at: &Origin, row: &Row) -> Result<Text, Problem> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let broken = |error: &minijinja::Error| {
        Problem::at(at, format!("the template \"{template}\" fails: {error}"))
            .hint("write {{ row.COLUMN }} for the cell in that column")
    };
    let compiled = environment.template_from_str(template).map_err(|error| broken(&error))?;

    let mut origin = None;
    for name in compiled.undeclared_variables(true) {
        let Some(column) = name.strip_prefix("row.") else {
            continue;
        };
        let cell = row.cell(column).ok_or_else(|| no_column(at, row, column))?;
        origin.get_or_insert_with(|| cell.origin.clone());
    }
    let cells: BTreeMap<String, String> = row
        .columns
        .iter()
        .zip(row.cells.iter())
        .map(|(name, cell)| (name.to_string(), cell.text.clone()))
        .collect();
    let value = compiled.render(minijinja::context! { row => cells }).map_err(|error| broken(&error))?;
    Ok(Text { value, origin: origin.unwrap_or_else(|| at.clone()) })
}

fn no_column(at: &Origin, row: &Row, column: &str) -> Problem {
    let file = &row.origin.file;
    let problem = Problem::at(at, format!("{file} has no column \"{column}\""));
    match nearest(column, row.columns.iter().map(|name| &**name)) {
        Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
        None => problem.hint(format!("its columns are: {}", row.columns.join(", "))),
    }
}
