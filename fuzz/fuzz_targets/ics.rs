//! iCalendar: every event can be expanded, or reports why not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::ics(data));
