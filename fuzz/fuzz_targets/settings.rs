//! Settings in TOML and JSON: they are read, or every problem has a message.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::settings(data));
