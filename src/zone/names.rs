//! Names of time zones: IANA names, Windows names, and names without summer time.

use std::str::FromStr;

/// Maximum bytes of a name; the longest one at present has 32.
const NAME_LENGTH: usize = 64;

/// Returns true if the text may be the name of a zone in the IANA database.
///
/// A database in a folder finds a zone by its path. So a name must never lead out of the folder,
/// and the other files beside the zones are not names.
pub fn is_a_name(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|letter: char| letter.is_ascii_uppercase())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    // A part may contain lower-case words: America/Port-au-Prince, America/Port_of_Spain.
    name.len() <= NAME_LENGTH && name != "Factory" && name.split('/').all(is_part)
}

/// Returns the names that the program knows without the machine's files, for suggestions.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// Returns the IANA name of a Windows zone (Unicode CLDR, windowsZones); none if it is unknown.
pub fn by_windows_name(name: &str) -> Option<&'static str> {
    match name {
        // Missing in the library, or mapped there as before 2022 and 2024.
        "Alberta Standard Time" => Some("America/Edmonton"),
        "British Columbia Standard Time" => Some("America/Vancouver"),
        "Manitoba Standard Time" => Some("America/Winnipeg"),
        "South Sudan Standard Time" => Some("Africa/Juba"),
        "Mountain Standard Time (Mexico)" => Some("America/Mazatlan"),
        "Central Asia Standard Time" => Some("Asia/Bishkek"),
        name => match calcard::common::timezone::Tz::from_str(name) {
            Ok(calcard::common::timezone::Tz::Tz(zone)) => Some(zone.name()),
            _ => None,
        },
    }
}

/// The meaning of a name without summer time, and the zones that are usually intended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedOffset {
    /// A description of the offset.
    pub offset: &'static str,
    /// Names with the region's summer time; empty if the region cannot be inferred.
    pub cities: &'static str,
}

/// Returns the details of a name that has the same offset all year.
///
/// Returns none for all other names and for UTC.
pub fn fixed_offset(name: &str) -> Option<FixedOffset> {
    let fixed = |offset, cities| Some(FixedOffset { offset, cities });
    match name {
        "EST" => fixed("UTC-05:00", "America/New_York, America/Toronto"),
        "MST" => fixed("UTC-07:00", "America/Denver; Arizona is America/Phoenix"),
        "HST" => fixed("UTC-10:00", "Pacific/Honolulu"),
        _ => {
            let offset = name.strip_prefix("Etc/GMT").or_else(|| name.strip_prefix("GMT"))?;
            let is_fixed =
                offset.len() > 1 && offset.starts_with(['+', '-']) && !offset.ends_with(['+', '-']);
            is_fixed.then_some(FixedOffset {
                offset: "the same offset (Etc/GMT+5 is five hours behind UTC)",
                cities: "",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Database;

    #[test]
    fn every_known_name_is_valid_and_has_a_zone() {
        for name in known_names() {
            assert!(is_a_name(name), "{name}");
            assert!(name == "UTC" || Database::embedded().zone(name).is_some(), "{name}");
        }
    }

    #[test]
    fn windows_names_map_to_zones() {
        for (name, zone) in [
            ("Alberta Standard Time", "America/Edmonton"),
            ("AUS Central Standard Time", "Australia/Darwin"),
            ("Central Europe Standard Time", "Europe/Budapest"),
            ("Eastern Standard Time (Mexico)", "America/Cancun"),
            ("GMT Standard Time", "Europe/London"),
            ("Magallanes Standard Time", "America/Punta_Arenas"),
            ("Pacific Standard Time", "America/Los_Angeles"),
            ("Qyzylorda Standard Time", "Asia/Qyzylorda"),
            ("South Sudan Standard Time", "Africa/Juba"),
            ("Sudan Standard Time", "Africa/Khartoum"),
            ("Volgograd Standard Time", "Europe/Volgograd"),
            ("Yukon Standard Time", "America/Whitehorse"),
        ] {
            assert_eq!(by_windows_name(name), Some(zone), "{name}");
        }
        assert_eq!(by_windows_name("Customized Time Zone"), None);
    }
}
