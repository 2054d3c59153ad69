//! iCalendar: an event that is read can be expanded, or says why not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| rtconfd_fuzz::ics(data));
