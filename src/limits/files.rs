//! Limits of source files, tables and files with secrets.

use std::time::Duration;

use super::section::{Row, Section, bytes, count, time};

limits! {
    "Files and tables"

    /// A hundred thousand rows take half of it.
    const MAX_FILE_BYTES: u64 = 24 << 20;
    "size of a source or calendar file" => bytes(MAX_FILE_BYTES), "the file is not read";

    /// Line numbers are recorded, so even a blank line takes memory.
    const MAX_LINES: usize = 1_000_000;
    "lines of a source or of the settings" => count(MAX_LINES), "the file is refused";

    const MAX_ROWS: usize = 200_000;
    "CSV: rows" => count(MAX_ROWS), "the file is refused; its bytes, lines and cells grow with the setting",
        "[`max_rows`](settings.md#sourcesname)";

    const MOST_ROWS: u64 = 10_000_000;
    "CSV: rows that the setting allows" => count(MOST_ROWS), "the settings are refused";

    /// Twenty columns for a hundred thousand rows.
    const MAX_CELLS: usize = 2_000_000;
    "CSV: cells" => count(MAX_CELLS), "the file is refused";

    const MAX_COLUMNS: usize = 1_000;
    "CSV: columns" => count(MAX_COLUMNS), "the file is refused";

    const MAX_COLUMN_NAME: usize = 256;
    "CSV: column name" => bytes(MAX_COLUMN_NAME), "the file is refused";

    /// The limit of spreadsheets is half of that.
    const MAX_CELL_BYTES: usize = 64 << 10;
    "CSV: cell" => bytes(MAX_CELL_BYTES), "the file is refused";

    /// A file with more is probably the wrong file.
    const MAX_REJECTED: usize = 10_000;
    "CSV: bad rows" => count(MAX_REJECTED), "no row is used; with fewer, only the bad rows are rejected";

    /// Ten thousand sites with ten fields each have as many.
    const MAX_JSON_VALUES: usize = 250_000;
    "JSON: values, keys included" => count(MAX_JSON_VALUES), "the file is refused";

    /// The same as in serde_json.
    const MAX_JSON_DEPTH: usize = 128;
    "JSON: depth" => format!("{MAX_JSON_DEPTH} levels"), "the file is refused";

    /// Parsing reads each byte as often.
    const MAX_JSON_WEIGHT: usize = 256 << 20;
    "JSON: bytes, each counted once for every level around it" => bytes(MAX_JSON_WEIGHT),
        "the file is refused";

    /// A double has 17 digits.
    const MAX_NUMBER: usize = 100;
    "JSON: number" => format!("{MAX_NUMBER} characters, and the range of a double"), "the file is refused";

    /// The program still waits for a file that is reported.
    const WRITER_TIMEOUT: Duration = Duration::from_secs(60);
    "time for which a program has a file open for writing" => time(WRITER_TIMEOUT),
        "the file is reported; it is read once the program closes it";

    const COMMAND_WAIT: Duration = Duration::from_secs(6);
    "wait of a command for files that are being written" => time(COMMAND_WAIT),
        "the command continues without the new content";

    const RESTAT: Duration = Duration::from_secs(30);
    "interval of checks without a report of a change" => time(RESTAT),
        "setting [`restat`](settings.md#top-level)";

    /// A key has a few dozen characters, so a larger file is something else.
    const MAX_SECRET_BYTES: u64 = 4_096;
    "size of a file with a key, token or secret" => bytes(MAX_SECRET_BYTES), "the file is refused";
}
