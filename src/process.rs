//! What others may learn from this process: nothing that is in its memory, for the API key is. And how many files it may open.

use std::io;

/// Keeps the memory to the process itself: no core dump holds it, and no other process of the same user can trace it
/// or read its environment under `/proc`. Root still can. It holds until the process ends, not for programs that it
/// starts.
///
/// # Errors
/// When the system refuses, which Linux never does.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn keep_memory_private() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    // The limit doesn't count where dumps are piped to a program (core(5)); "not dumpable" does everywhere.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Keeps core dumps from being written; keeping others from tracing the process is only known on Linux.
///
/// # Errors
/// When the system refuses.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn keep_memory_private() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Raises the limit of open files as far as the system lets it: each connection is one.
///
/// # Errors
/// When the system refuses.
pub fn raise_file_limit() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}
