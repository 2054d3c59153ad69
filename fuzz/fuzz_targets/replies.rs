//! Answers of the API: a page is read, or the reason for its refusal is given.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::replies(data));
