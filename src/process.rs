//! Process limits: keeps memory, which holds the API key, private, and raises the limit of open
//! files.

use std::io;

/// Keeps the process memory private: no core dumps, no tracing by other processes of the same user.
///
/// Other processes of the user cannot read its environment under `/proc` either. Root still can.
/// The protection holds until the process ends and does not extend to programs that it starts.
///
/// # Errors
/// Returns an error when the system refuses, which Linux never does.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn keep_memory_private() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    // The core limit does not apply where dumps are piped to a program (core(5)); "not dumpable"
    // applies everywhere.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Disables core dumps; preventing other processes from tracing this one is supported on Linux
/// only.
///
/// # Errors
/// Returns an error when the system refuses.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn keep_memory_private() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Raises the limit of open files to the system's maximum: each connection uses one.
///
/// # Errors
/// Returns an error when the system refuses.
pub(crate) fn raise_file_limit() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}
