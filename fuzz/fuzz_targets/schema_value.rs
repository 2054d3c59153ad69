//! A schema and a value: whatever they are, both ways of asking agree.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::schema_value(data));
