//! The entry point: passes the real arguments and environment to the CLI and returns its exit code.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: from here on a key may be in memory.
    if let Err(error) = rtconfd::process::keep_memory_private() {
        let _ = writeln!(std::io::stderr(), "error: the process can't keep its memory to itself: {error}");
        return ExitCode::FAILURE;
    }
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    ExitCode::from(rtconfd::cli::main(std::env::args_os(), environment))
}
