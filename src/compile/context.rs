//! The values that a definition inherits: its zone and its hours.

use std::sync::Arc;

use crate::hours::Hours;
use crate::written::{Fields, Reader};
use crate::zone::Zone;

/// The time zone that hours inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenZone {
    /// No zone is written.
    Unwritten,
    /// A zone is written but unknown: it comes from a row not read yet, or was noted as invalid.
    Unknown,
    /// A known zone.
    Known(Zone),
}

impl WrittenZone {
    /// Reads the zone that is written in `fields`.
    pub(super) fn written(reader: &Reader, fields: &Fields) -> Self {
        match fields.get("timezone") {
            Some(node) => reader.zone(node, "timezone").map_or(Self::Unknown, Self::Known),
            None => Self::Unwritten,
        }
    }

    /// Returns this zone, or `other` if none is written.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Unwritten { other } else { self }
    }

    /// Returns the zone, if it is known.
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

/// The values that a variable may inherit from its page or its row.
pub(super) struct Context {
    /// The written zone, or else the zone of the hours.
    pub(super) zone: WrittenZone,
    /// The zone written as `timezone`, which nested hours inherit.
    pub(super) written: WrittenZone,
    pub(super) hours: Option<Arc<Hours>>,
    /// True if the page has hours, even if they could not be built.
    pub(super) has_hours: bool,
}

impl Context {
    /// Fills the missing values from `outer`.
    pub(super) fn or(self, outer: &Context) -> Self {
        Self {
            zone: self.zone.or(outer.zone),
            written: self.written.or(outer.written),
            hours: if self.has_hours { self.hours } else { outer.hours.clone() },
            has_hours: self.has_hours || outer.has_hours,
        }
    }
}
