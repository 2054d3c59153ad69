//! What a definition inherits from around it: its zone and its hours.

use std::sync::Arc;

use crate::hours::Hours;
use crate::written::{Fields, Reader};
use crate::zone::Zone;

/// The time zone that is handed down to hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenZone {
    /// Nobody wrote one.
    Unwritten,
    /// It is written, and not known: a row to come has it, or it is none and that was noted.
    Unknown,
    /// This one.
    Known(Zone),
}

impl WrittenZone {
    /// What is written beside something.
    pub(super) fn written(reader: &Reader, fields: &Fields) -> Self {
        match fields.get("timezone") {
            Some(node) => reader.zone(node, "timezone").map_or(Self::Unknown, Self::Known),
            None => Self::Unwritten,
        }
    }

    /// It, or another where none is written.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Unwritten { other } else { self }
    }

    /// The zone, if it is known.
    pub(super) fn known(self) -> Option<Zone> {
        match self {
            Self::Known(zone) => Some(zone),
            Self::Unwritten | Self::Unknown => None,
        }
    }
}

impl From<Option<Zone>> for WrittenZone {
    fn from(zone: Option<Zone>) -> Self {
        zone.map_or(Self::Unwritten, Self::Known)
    }
}

/// What a variable may take from its page, or its row.
pub(super) struct Context {
    /// The zone that is written, or else that of the hours.
    pub(super) zone: WrittenZone,
    /// The one that is written as `timezone`, for hours further inside.
    pub(super) written: WrittenZone,
    pub(super) hours: Option<Arc<Hours>>,
    /// The page has hours, even if they could not be put together.
    pub(super) has_hours: bool,
}

impl Context {
    /// What is not here is taken from another.
    pub(super) fn or(self, outer: &Context) -> Self {
        Self {
            zone: self.zone.or(outer.zone),
            written: self.written.or(outer.written),
            hours: if self.has_hours { self.hours } else { outer.hours.clone() },
            has_hours: self.has_hours || outer.has_hours,
        }
    }
}
