//! Limits of variants; the API sets them.

use super::section::{Row, Section, count};

limits! {
    "Variants"

    const MAX_VARIANTS: usize = 1_000;
    "variants of an agent" => count(MAX_VARIANTS), "the API refuses more";

    const MAX_ATTRIBUTES: usize = 50;
    "attributes of an agent" => count(MAX_ATTRIBUTES), "the API refuses more";
}
