//! `[time]`: the choice of the zone database.

use std::path::Path;
use std::sync::Arc;

use crate::model::{Origin, Problem};
use crate::written::{Fields, Node, Reader, Scope};
use crate::zone::Database;
use crate::zoneinfo::{self, Choice, WatchedFolder};

use super::Surroundings;

/// Reads the choice; the default is the newest database.
pub(super) fn read(reader: &Reader, fields: &Fields, directory: &Path) -> Option<Choice> {
    let Some(node) = fields.get("time") else { return Some(Choice::Newest) };
    let Some(node) = reader.table(node, "time", &["zoneinfo"])?.get("zoneinfo") else {
        return Some(Choice::Newest);
    };
    let text = reader.text(node, "zoneinfo")?;
    match text.value.as_str() {
        "newest" => Some(Choice::Newest),
        "system" => Some(Choice::System),
        "embedded" => Some(Choice::Embedded),
        folder if folder.contains('/') => Some(Choice::Folder(directory.join(folder))),
        other => {
            let problem = Problem::at(&text.origin, format!("unknown zone database `{other}`"));
            reader.note(problem.hint("write newest, system, embedded, or the path of a folder"));
            None
        }
    }
}

/// Opens the chosen zone database before any other setting is read, because zone names may occur
/// anywhere.
///
/// Returns it with its folder, in the state before it was read.
///
/// # Errors
/// Returns an error when the database has no zones.
pub(super) fn open(
    root: &Node,
    file: &Path,
    surroundings: &Surroundings,
) -> Result<(Arc<Database>, Option<WatchedFolder>), Problem> {
    let embedded = Database::embedded();
    // Problems with the choice are reported when all settings are read.
    let reader = Reader::new(Scope::Plain, &embedded);
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let directory = file.parent().unwrap_or(Path::new("/"));
    let fields = reader.open_table(root, "the settings file");
    let choice = fields.and_then(|fields| read(&reader, &fields, directory)).unwrap_or_default();
    let system = surroundings.zoneinfo.as_deref();
    let folder = zoneinfo::watched(&choice, system);
    zoneinfo::open(&choice, system).map(|zones| (zones, folder)).map_err(|message| {
        let place = root.get("time").and_then(|time| time.get("zoneinfo"));
        let origin = place.map_or_else(Origin::default, |node| node.origin.clone());
        Problem::at(&origin, message).hint(
            "install the package tzdata, correct the path, or leave zoneinfo out for the newest database",
        )
    })
}
