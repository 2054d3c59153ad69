//! Compiles settings and inputs into pages that can be evaluated.

mod blueprint;
mod builder;
mod compiler;
mod context;
mod formats;
mod hours;
mod keys;
mod page;
mod recording;
mod repeats;
mod rows;
mod special;
pub(crate) mod uses;
mod value;
mod variants;
mod weekly;
mod when;
mod world;

use crate::limits::settings::MAX_BLOCK_PROBLEMS;
use crate::model::{Problem, each_once};
use crate::written::{Reader, Scope};

use compiler::Compiler;
use context::WrittenZone;

pub use blueprint::Inputs;
pub(crate) use blueprint::{Blueprint, CalendarUse, PublicHolidays, SourceUse};
pub(crate) use variants::{Variants, check_variants, is_attribute_name, sources_of_variants, variants};
pub use world::World;
pub(crate) use world::{Gone, Managed};

/// Checks page blocks and hours as far as possible without the inputs.
pub(crate) fn check_shape(blueprint: &Blueprint) -> Vec<Problem> {
    let compiler = Compiler::new(blueprint, None);
    let mut problems = Vec::new();
    let mut names: Vec<&String> = blueprint.hours.keys().collect();
    names.sort();
    for name in names {
        let reader = Reader::new(Scope::Plain, &blueprint.zones);
        compiler.named_hours(&reader, name, WrittenZone::Unwritten);
        problems.extend(reader.into_problems());
    }
    for block in &blueprint.pages {
        let scope = match block.get("for_each") {
            Some(_) => Scope::RowToCome,
            None => Scope::Plain,
        };
        let reader = Reader::new(scope, &blueprint.zones);
        compiler.pages(&reader, block, None);
        problems.extend(reader.into_problems());
    }
    // The rest shows up once these are fixed.
    let mut problems = each_once(&problems);
    problems.truncate(MAX_BLOCK_PROBLEMS);
    problems
}
