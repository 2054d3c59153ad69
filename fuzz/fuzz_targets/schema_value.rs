//! A schema and a value: both kinds of check agree on any pair.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::schema_value(data));
