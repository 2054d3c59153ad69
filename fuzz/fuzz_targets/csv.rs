//! CSV: rows are as wide as the header, and every key finds its row.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::csv(data));
