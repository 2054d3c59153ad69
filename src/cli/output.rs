//! Printing: tables and JSON lines to standard output, problems to standard error.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value;

use crate::model::{Instant, Problem, Severity, is_unprintable, shorten_both};
use crate::settings::{Log, Report};

use super::global::{Exit, FAILED};
use super::log::{self, Reader};
use super::progress;
use super::table::{self, Rendered};

/// The first error of writing to standard output.
static WRITE_ERROR: OnceLock<std::io::Error> = OnceLock::new();

/// Set when all messages are events of the log.
static MESSAGES_ARE_EVENTS: OnceLock<()> = OnceLock::new();

/// Writes data to standard output; [`finish`] turns an error into the exit code.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap_or_else(note_write_error);
}

/// Records that data could not be written.
pub fn note_write_error(error: std::io::Error) {
    let _ = WRITE_ERROR.set(error);
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

/// Returns text with controls, invisible characters and marks of direction escaped.
///
/// Data from the API or a file must not move a terminal's cursor.
pub fn visible(text: &str) -> String {
    let shown = |c: char| match is_unprintable(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// Prints a table with a header; nothing when there are no rows.
///
/// On a narrow terminal, columns of `optional` are left out, the first one first.
pub fn print_table<const N: usize>(
    header: [&str; N],
    optional: &[&str],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| visible(&cell))).collect();
    if rows.is_empty() {
        return;
    }
    let Rendered { text, left_out } = table::render(header, optional, &rows, width());
    print(&text);
    let left_out: Vec<String> = left_out.into_iter().filter(|name| !name.is_empty()).collect();
    if !left_out.is_empty() {
        remark(&format!("left out on this narrow terminal: {}", left_out.join(", ")));
    }
}

/// Returns two values as cells of a table, each cut to `limit` characters.
///
/// Null is "-". Different values give different cells.
pub fn both(from: &Value, to: &Value, limit: usize) -> [String; 2] {
    let [from_cell, to_cell] = shorten_both(from, to, limit);
    let cell = |value: &Value, cell: String| if value.is_null() { "-".to_owned() } else { cell };
    [cell(from, from_cell), cell(to, to_cell)]
}

/// Returns the width for tables.
///
/// It is the one that `COLUMNS` sets, or that of the terminal. There is none for files and pipes.
fn width() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let of_terminal = || {
        let stdout = std::io::stdout();
        let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(stdout).ok()).flatten()?;
        Some(usize::from(size.ws_col))
    };
    set.or_else(of_terminal).filter(|width| *width > 0)
}

/// Writes an error to standard error.
pub fn print_error(text: &str) {
    if MESSAGES_ARE_EVENTS.get().is_some() {
        tracing::error!("{text}");
        return log::flush();
    }
    log::flush();
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// Writes a remark to standard error.
pub fn remark(text: &str) {
    match MESSAGES_ARE_EVENTS.get() {
        Some(()) => tracing::info!("{text}"),
        None => drop(progress::beside(|| writeln!(std::io::stderr().lock(), "{text}"))),
    }
}

/// Writes a line that a person must see to standard error.
pub fn notice(text: &str) {
    match MESSAGES_ARE_EVENTS.get() {
        Some(()) => tracing::warn!("{text}"),
        None => remark(text),
    }
}

/// Writes problems to standard error, each with its hint.
pub fn show_problems<'p>(problems: impl IntoIterator<Item = &'p Problem>) {
    if MESSAGES_ARE_EVENTS.get().is_some() {
        return log_problems(problems);
    }
    for problem in problems {
        let level = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        remark(&format!("{level}: {}", with_place(problem)));
        if let Some(hint) = &problem.hint {
            remark(&format!("  hint: {hint}"));
        }
    }
}

/// Logs problems, each as an event with its hint.
pub fn log_problems<'p>(problems: impl IntoIterator<Item = &'p Problem>) {
    for problem in problems {
        let (text, hint) = (with_place(problem), problem.hint.as_deref());
        match problem.severity {
            Severity::Error => tracing::error!(hint, "{text}"),
            Severity::Warning => tracing::warn!(hint, "{text}"),
        }
    }
}

fn with_place(problem: &Problem) -> String {
    let place = problem.origin.as_ref().map_or_else(String::new, |origin| format!("{origin}: "));
    place + &problem.message
}

/// Writes a report on the settings to standard error, in colour on a terminal.
pub fn show_report(report: &Report) {
    match MESSAGES_ARE_EVENTS.get() {
        Some(()) => show_problems(&report.problems),
        None => drop(std::io::stderr().lock().write_all(report.render(is_colored()).as_bytes())),
    }
}

/// Returns true if standard error is a terminal, unless `NO_COLOR` is set (no-color.org).
fn is_colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Starts logging to standard error.
pub fn start_log(settings: Log) {
    log::start(reader(settings), settings.level);
}

/// Starts logging for a command whose log is read by programs or the journal.
///
/// All its messages are then events, up to the error with which it ends.
pub fn start_log_with_messages(settings: Log) {
    let reader = reader(settings);
    log::start(reader, settings.level);
    if reader.is_json || reader.is_journal {
        let _ = MESSAGES_ARE_EVENTS.set(());
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
}

fn reader(settings: Log) -> Reader {
    let (is_journal, is_json) = (log::is_journal(), settings.json);
    Reader { is_json, is_journal, is_colored: is_colored() && !is_json && !is_journal }
}

/// Formats an instant for programs: UTC, whole seconds.
pub fn utc(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
