//! Printing: tables and JSON lines to standard output, problems to standard error.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::{Padding, Style, object::Columns};

use crate::model::{Instant, Problem, Severity};
use crate::settings::{Log, Report};

use super::global::{Exit, FAILED};
use super::log::{self, Reader};

/// The first error of writing to standard output.
static WRITE_ERROR: OnceLock<std::io::Error> = OnceLock::new();

/// Writes data to standard output; [`finish`] turns an error into the exit code.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let _ = WRITE_ERROR.set(error);
    }
}

/// Returns true once data could not be written to standard output.
pub fn has_failed() -> bool {
    WRITE_ERROR.get().is_some()
}

/// Returns the exit code of a command: a failure when its data could not be written.
///
/// A closed pipe, as with `head`, needs no message.
pub fn finish(exit: Exit) -> Exit {
    log::flush();
    match WRITE_ERROR.get() {
        None => exit,
        Some(error) => {
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                print_error(&format!("cannot write to standard output: {error}"));
            }
            FAILED
        }
    }
}

/// Prints one JSON object per line.
pub fn print_lines<T: Serialize>(rows: impl IntoIterator<Item = T>) -> anyhow::Result<()> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(&row)?);
        text.push('\n');
    }
    print(&text);
    Ok(())
}

/// Returns text with control characters escaped.
///
/// Data from the API or a file must not move a terminal's cursor.
pub fn visible(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Prints a table with a header; nothing when there are no rows.
pub fn print_table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut builder = Builder::default();
    builder.push_record(header);
    let mut empty = true;
    for row in rows {
        builder.push_record(row.map(|cell| visible(&cell)));
        empty = false;
    }
    if empty {
        return;
    }
    let mut table = builder.build();
    table.with(Style::blank()).modify(Columns::first(), Padding::new(0, 1, 0, 0));
    let lines: Vec<String> = table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    print(&lines.concat());
}

/// Writes an error to standard error.
pub fn print_error(text: &str) {
    log::flush();
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// Writes a remark to standard error.
pub fn remark(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes problems to standard error, each with its hint.
pub fn show_problems<'p>(problems: impl IntoIterator<Item = &'p Problem>) {
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = problem.origin.as_ref().map_or_else(String::new, |origin| format!("{origin}: "));
        remark(&format!("{level}: {place}{}", problem.message));
        if let Some(hint) = &problem.hint {
            remark(&format!("  hint: {hint}"));
        }
    }
}

/// Writes a report on the settings to standard error, in colour on a terminal.
pub fn show_report(report: &Report) {
    let _ = std::io::stderr().lock().write_all(report.render(is_colored()).as_bytes());
}

/// Returns true if standard error is a terminal, unless `NO_COLOR` is set (no-color.org).
fn is_colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Starts logging to standard error.
pub fn start_log(settings: Log) {
    let reader = match () {
        () if log::is_journal() => Reader::Journal,
        () if is_colored() && !settings.json => Reader::Terminal,
        () => Reader::Plain,
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(log::Events::start(reader))
        .log_internal_errors(false)
        .with_max_level(settings.level)
        .with_target(false)
        .with_ansi(reader == Reader::Terminal);
    // A second start in one process changes nothing; the demo does that.
    let _ = match reader {
        _ if settings.json => builder.json().flatten_event(true).try_init(),
        Reader::Journal => builder.without_time().try_init(),
        Reader::Plain | Reader::Terminal => builder.try_init(),
    };
}

/// Formats an instant for programs: UTC, whole seconds.
pub fn utc(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
