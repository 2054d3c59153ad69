//! The limits that a user can meet, each with its row in `docs/reference/limits.md`.
//!
//! `limits!` declares the constants of a section and the section together, so a value and its
//! documentation cannot disagree. Defaults of settings are here if the page shows them.

mod section;

pub use section::{Row, Section};

/// Declares the constants of a section, each before the row that shows it.
///
/// A row is `"subject" => value, "consequence beyond it", "setting";`. The setting is optional. A
/// row without constants before it shows a rule, or a constant of another row.
macro_rules! limits {
    (
        $title:literal
        $(
            $( $(#[$why:meta])* const $name:ident: $type:ty = $number:expr; )*
            $what:literal => $value:expr, $beyond:expr $(, $setting:literal)?;
        )*
        $( note $note:expr; )?
    ) => {
        $($(
            #[doc = concat!("Limit: ", $what, ".\n")]
            $(#[$why])*
            pub const $name: $type = $number;
        )*)*

        /// Returns the section of the reference.
        pub(super) fn section() -> Section {
            let rows = [$( Row::new($what, &$value, &$beyond) $( .set_by($setting) )? ),*];
            Section::new($title, rows.into()) $( .with_note($note) )?
        }
    };
}

pub mod api;
pub mod calendars;
pub mod changes;
pub mod files;
pub mod listener;
pub mod notifications;
pub mod pages;
pub mod replicas;
pub mod settings;
pub mod store;
pub mod time;
pub mod variants;

/// Returns all sections, in the order of the reference.
pub fn sections() -> [Section; 12] {
    [
        files::section(),
        calendars::section(),
        settings::section(),
        pages::section(),
        variants::section(),
        api::section(),
        changes::section(),
        listener::section(),
        notifications::section(),
        store::section(),
        replicas::section(),
        time::section(),
    ]
}
