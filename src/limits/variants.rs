//! Limits of variants; the API sets them.

use chrono::TimeDelta;

use super::section::{Row, Section, bytes, count, time};

limits! {
    "Variants"

    const MAX_VARIANTS: usize = 1_000;
    "variants of an agent" => count(MAX_VARIANTS), "the API refuses more";

    const MAX_ATTRIBUTES: usize = 50;
    "attributes of an agent" => count(MAX_ATTRIBUTES), "the API refuses more";

    const MAX_IMPORT_BYTES: usize = 10 << 20;
    "file of `variants export`" => bytes(MAX_IMPORT_BYTES), "an error: the vendor's UI imports no more";

    /// A variant reaches callers by a deployment, and stays until the next one.
    const STEADY: TimeDelta = TimeDelta::days(14);
    "time for which an attribute should keep its value" => time(STEADY), "a warning";
}
