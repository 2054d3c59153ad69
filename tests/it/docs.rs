//! The reference in `docs/` that is generated from the code, and links between documents.
//! `UPDATE_DOCS=1 cargo test --test it docs::` writes the reference.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use rtconfd::limits::{self, Section};
use rtconfd::shapes::{CalendarShape, ConsumerModel, Language, ReadBack, SHAPES, Shape, TimeFormat};

use crate::house::{root, rust_files};

/// Compares a file with the text generated from the code, or writes it.
fn assert_up_to_date(name: &str, text: &str) {
    let file = root().join("docs/reference").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == text,
        "docs/reference/{name} is out of date: UPDATE_DOCS=1 cargo test --test it docs::"
    );
}

fn parameters(shape: &dyn Shape) -> String {
    let takes = shape.takes();
    let format = takes.format.map(|format| match format {
        TimeFormat::Hour => "`format` (hour)",
        TimeFormat::Minutes => "`format` (HH:MM)",
        TimeFormat::Seconds => "`format` (HH:MM:SS)",
        TimeFormat::Rfc3339 => "`format` (RFC 3339)",
    });
    let days = takes.days.then_some("`days` (60)");
    let language = takes.language.then_some("`language` (en)");
    let all: Vec<&str> = format.into_iter().chain(days).chain(language).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn read_back(shape: &dyn Shape) -> String {
    let consumer = match shape.consumer() {
        ConsumerModel::None => "none",
        ConsumerModel::OneInterval => "one_interval",
        ConsumerModel::Intervals => "intervals",
    };
    match shape.read_back() {
        ReadBack::AsWritten => "no; code uses the value unchanged, or it is read aloud".to_owned(),
        ReadBack::With(other) => format!("together with `{other}`"),
        ReadBack::Intervals { beside: None, .. } => format!("`reader` ({consumer})"),
        ReadBack::Intervals { beside: Some(other), .. } => {
            format!("`reader` ({consumer}), together with `{other}`")
        }
    }
}

/// Wraps a paragraph of Markdown at 100 columns, without a break inside a code span.
fn wrapped(paragraph: &str) -> String {
    let mask = |(index, part): (usize, &str)| match index % 2 {
        0 => part.to_owned(),
        _ => part.replace(' ', "\u{a0}"),
    };
    let masked: Vec<String> = paragraph.split('`').enumerate().map(mask).collect();
    let mut lines: Vec<String> = Vec::new();
    for word in masked.join("`").split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 100 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n").replace('\u{a0}', " ")
}

#[test]
fn the_shapes_reference_matches_the_code() {
    let introduction = "A variable shows opening hours with `show = \"NAME\"`. Defaults are in parentheses. \
                        Before a value is sent, it is read back the way an agent's code would read it. \
                        `reader` names that consumer model: `one_interval`, `intervals` or `none`.";
    let mut text = format!("# Shapes\n\n{}\n\n## Opening hours\n", wrapped(introduction));
    for shape in SHAPES {
        let (name, doc) = (shape.name(), shape.doc());
        write!(text, "\n### `{name}`\n\n{}\n\n", wrapped(doc)).unwrap();
        write!(text, "- Parameters: {}\n- Read back: {}\n", parameters(*shape), read_back(*shape)).unwrap();
    }
    let codes: Vec<String> = Language::codes().iter().map(|code| format!("`{code}`")).collect();
    write!(text, "\n## Languages\n\n{}\n\n## Calendars\n\n", codes.join(", ")).unwrap();
    for (name, _, doc) in CalendarShape::ALL {
        writeln!(text, "- `{name}`: {doc}").unwrap();
    }
    assert_up_to_date("shapes.md", &text);
}

/// Returns a section of limits; it has a column for settings if one of its rows has a setting.
fn limits_section(section: &Section) -> String {
    let has_settings = section.rows.iter().any(|row| !row.setting.is_empty());
    let line = |cells: [&str; 4]| {
        let cells = if has_settings { &cells[..] } else { &cells[..3] };
        cells.iter().fold("|".to_owned(), |line, cell| match cell.is_empty() {
            true => line + " |",
            false => line + " " + cell + " |",
        })
    };
    let rule = if has_settings { "|---|---|---|---|" } else { "|---|---|---|" };
    let mut lines = vec![line(["limit", "value", "beyond it", "setting"]), rule.to_owned()];
    lines.extend(section.rows.iter().map(|row| line([row.what, &row.value, &row.beyond, row.setting])));
    let table = format!("\n## {}\n\n{}\n", section.title, lines.join("\n"));
    if section.note.is_empty() { table } else { format!("{table}\n{}\n", wrapped(&section.note)) }
}

#[test]
fn the_limits_reference_matches_the_code() {
    let introduction = [
        "Limits keep one file, page or caller from stopping the others. Most are fixed and far above \
         ordinary use. Where a setting changes one, the table names it.",
        "If a file is beyond a limit, its last good version stays active. If a page is beyond one, nothing \
         is sent to that page, and the other pages continue. The messages are in [errors](errors.md).",
        "1 KiB is 1,024 bytes, 1 MiB is 1,024 KiB.",
    ];
    let introduction = introduction.map(wrapped).join("\n\n");
    let sections: String = limits::sections().iter().map(limits_section).collect();
    assert_up_to_date("limits.md", &format!("# Limits\n\n{introduction}\n{sections}"));
}

/// Keeps the limits that a user can meet together with their documentation.
///
/// A number that only shapes a message or an algorithm has another name.
#[test]
fn no_limit_is_declared_outside_of_the_limits() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let is_test = |file: &Path| file.iter().any(|part| part == "tests" || part == "tests.rs");
    let others = files.iter().filter(|file| !file.starts_with(root().join("src/limits")) && !is_test(file));
    let declaring = others.filter(|file| fs::read_to_string(file).unwrap().contains("const MAX_"));
    let declaring: Vec<&PathBuf> = declaring.collect();
    assert!(declaring.is_empty(), "move each const MAX_ to src/limits: {declaring:?}");
}

/// Returns a reference page.
pub fn reference(name: &str) -> String {
    fs::read_to_string(root().join("docs/reference").join(name)).unwrap()
}

#[test]
fn the_settings_reference_has_every_key_of_the_default_settings() {
    let (settings, written) =
        (fs::read_to_string(root().join("config/rtconfd.toml")).unwrap(), reference("settings.md"));
    // After this line the keys are names of variables.
    let settings = settings.split("[page.variables]").next().unwrap();
    let keys = settings.lines().filter_map(|line| line.trim_start_matches("# ").split_once(" = "));
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let keys: Vec<&str> = keys.map(|(key, _)| key).filter(|key| is_key(key)).collect();
    assert!(keys.len() > 40, "{keys:?}");
    // The values of variables are documented in values.md.
    let documented = written + &reference("values.md");
    let missing: Vec<_> = keys.iter().filter(|key| !documented.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/reference/settings.md: {missing:?}");
}

/// Returns the names of metrics in an answer that the reference does not have.
pub fn undocumented_metrics(answer: &str) -> Vec<String> {
    let written = reference("metrics.md");
    let samples = answer.lines().filter(|line| !line.starts_with('#'));
    let names = samples.filter_map(|line| line.split(['{', ' ']).next());
    // A histogram is documented by its name.
    let ends = ["_sum", "_count", "_bucket"];
    let names = names.map(|name| ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name));
    names.filter(|name| !written.contains(&format!("`{name}`"))).map(str::to_owned).collect()
}

/// Finds links that broke when a document moved.
#[test]
fn every_link_between_documents_resolves() {
    let mut files: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .to_vec();
    for folder in ["guides", "concepts", "reference", "runbooks"] {
        let entries = fs::read_dir(root().join("docs").join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut broken = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let is_ours = !path.is_empty() && !path.contains("://");
            if is_ours && !file.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}
