//! The real world in, an exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    ExitCode::from(rtconfd::cli::main(std::env::args_os(), environment))
}
