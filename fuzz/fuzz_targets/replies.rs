//! Answers of the API: a page is read, or there is a reason why not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::replies(data));
