//! Hours as people write them: intervals lie within two days, and their text means the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::hours(data));
