//! The generated files for a page: settings, values and schema, as text; the caller writes them.

use serde_json::{Map, Value};

use crate::limits::settings::MAX_VARIABLES;
use crate::model::{PageId, Problem, RemotePage, Variable};
use crate::settings::{Api, quoted};
use crate::tables::parse_json;
use crate::written::is_template;

use super::super::output::visible;

/// The settings' file name.
pub const SETTINGS: &str = "rtconfd.toml";

/// The place of the API key, for the settings; never the key itself.
pub enum KeyPlace {
    /// This file.
    File(String),
    /// The environment or a credential, which are not settings.
    Outside,
}

impl KeyPlace {
    /// Returns the lines of the settings for it.
    pub fn written(&self) -> String {
        match self {
            Self::File(path) => format!("key_file = {}\n", quoted(path)),
            Self::Outside => NO_KEY_FILE.to_owned(),
        }
    }
}

/// The generated files for pages.
#[derive(Debug)]
pub struct Files {
    /// Names and contents, the settings first.
    pub files: Vec<(String, String)>,
    /// Warnings: values that cannot be owned, and pages without any.
    pub remarks: Vec<Problem>,
    /// The pages that have values.
    pub adopted: Vec<Adopted>,
}

/// A page that has values.
#[derive(Debug)]
pub struct Adopted {
    /// The page's id.
    pub id: PageId,
    /// The source's name in the settings.
    pub source: String,
    /// The source's file name.
    pub file: String,
    /// The values.
    pub values: Vec<AdoptedValue>,
}

/// A value of a page.
#[derive(Debug)]
pub struct AdoptedValue {
    /// The name in the settings.
    pub variable: Variable,
    /// The value on the page.
    pub value: Value,
}

/// Generates the files for pages.
pub fn write(pages: &[(PageId, RemotePage)], api: &Api, key: &KeyPlace) -> Files {
    let key = key.written();
    let mut settings = format!("{HEAD}\n[api]\n{}{key}\n[store]\npath = \"rtconfd.sqlite\"\n", api.written());
    let mut files = Files { files: Vec::new(), remarks: Vec::new(), adopted: Vec::new() };
    for (id, page) in pages {
        settings.push_str(&block(id, page, &mut files));
    }
    settings.push_str(EXAMPLES);
    files.files.insert(0, (SETTINGS.to_owned(), settings));
    files
}

/// Returns a page's source and block; its values and schema become files of their own.
fn block(id: &PageId, page: &RemotePage, files: &mut Files) -> String {
    let mut text = format!("\n# ---- {id} ----\n");
    if let Some(schema) = &page.schema {
        let file = format!("{}.{}.schema.json", id.agent, id.environment);
        text.push_str(&format!(
            "# Its schema is in {file}. To change it there: rtconfd schema push {file} {id}\n"
        ));
        files.files.push((file, pretty(schema)));
    }
    let (adopted, left_out) = adopt(id, &page.variables);
    if adopted.values.is_empty() {
        let what = format!("{id} holds no values to keep, so its block in {SETTINGS} is a commented example");
        let hint = "remove the # and write the variables of the page";
        files.remarks.push(Problem::new(what).hint(hint).warning());
        text.push_str(&format!(
            "# The page holds no values yet.\n#\n# [[page]]\n# agent = \"{}\"\n# environment = \"{}\"\n#\n\
             # [page.variables]\n# greeting = \"Welcome.\"\n",
            id.agent, id.environment
        ));
    } else {
        text.push_str(&page_block(&adopted));
        let values =
            adopted.values.iter().map(|value| (value.variable.key().to_owned(), value.value.clone()));
        files.files.push((adopted.file.clone(), pretty(&Value::Object(values.collect()))));
        files.adopted.push(adopted);
    }
    for problem in &left_out {
        text.push_str(&format!("# Left alone on the page: {}\n", visible(&problem.message)));
    }
    files.remarks.extend(left_out.into_iter().map(|problem| problem.about(id).warning()));
    text
}

fn page_block(adopted: &Adopted) -> String {
    let Adopted { id, source, file, .. } = adopted;
    let lines = adopted.values.iter().map(|value| {
        let (name, pointer) = (value.variable.to_string(), pointer(value.variable.key()));
        format!("{} = {{ source = \"{source}\", pointer = {} }}\n", key(&name), quoted(&pointer))
    });
    format!(
        "[sources.{source}]\npath = \"{file}\"\n\n[[page]]\nagent = \"{}\"\nenvironment = \"{}\"\n\
         # on_drift = \"keep\"  # what happens to values that another client changes: restore (the default), keep or report\n\n\
         [page.variables]\n{}",
        id.agent,
        id.environment,
        lines.collect::<String>()
    )
}

/// Returns the values that can be kept, and the problems of those that cannot.
fn adopt(id: &PageId, variables: &Map<String, Value>) -> (Adopted, Vec<Problem>) {
    let mut adopted = Adopted {
        id: id.clone(),
        source: format!("{}-{}", id.agent, id.environment),
        file: format!("{}.{}.json", id.agent, id.environment),
        values: Vec::new(),
    };
    let (mut left_out, mut beyond) = (Vec::new(), Vec::new());
    for (key, value) in variables {
        match variable(key, value) {
            Ok(_) if adopted.values.len() == MAX_VARIABLES => beyond.push(key),
            Ok(variable) => adopted.values.push(AdoptedValue { variable, value: value.clone() }),
            Err(problem) => left_out.push(problem),
        }
    }
    left_out.extend(too_many(&beyond));
    (adopted, left_out)
}

/// Returns the keys above the limit, as one problem.
fn too_many(beyond: &[&String]) -> Option<Problem> {
    let first = quoted(beyond.first()?);
    let more = match beyond.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("{first}{more}: a page block has at most {MAX_VARIABLES} variables");
    let hint = "leave them on the page as they are, or let one replace a variable that need not be owned";
    Some(Problem::new(message).hint(hint))
}

/// Returns the variable for a top-level key.
///
/// Fails if the key cannot be owned, or its value cannot be read from a file.
fn variable(key: &str, value: &Value) -> Result<Variable, Problem> {
    let cant = |why: String| Problem::new(format!("{}: {why}", quoted(key)));
    if is_template(key) {
        return Err(cant("it cannot be owned, because it looks like a template".to_owned()));
    }
    let variable = named(key)
        .ok_or_else(|| cant("it cannot be owned, because it is not a valid variable name".to_owned()))?;
    parse_json(&"the page".into(), &value.to_string())
        .map_err(|problem| cant(format!("its value cannot be kept in a file: {}", problem.message)))?;
    Ok(variable)
}

/// Returns the variable that names a top-level key itself, not a place below one.
///
/// A bracket with a special meaning in a pointer is escaped as `~2`.
fn named(key: &str) -> Option<Variable> {
    let pointer = pointer(key);
    let ways = match key.starts_with('/') {
        true => vec![pointer.clone(), pointer.replace('[', "~2")],
        false => vec![key.to_owned()],
    };
    let variables = ways.into_iter().filter_map(|text| text.parse::<Variable>().ok());
    let mut meant = variables.filter(|variable| variable.key() == key && variable.steps().count() == 1);
    meant.next()
}

/// Returns a top-level key as a JSON Pointer (RFC 6901).
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Returns a key as TOML writes it.
pub fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !text.is_empty() && text.chars().all(is_bare) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

const HEAD: &str = "\
# Written by rtconfd pull. Every value is as it was on its page, so that rtconfd plan finds nothing to do.
# Change a value in its JSON file, or let it follow hours, a calendar or dates: the end of this file shows how.
";

const NO_KEY_FILE: &str = "\
# Without key_file the key is the systemd credential agents-api-key, else the variable RTCONFD_API_KEY.
# key_file = \"agents-api-key\"
";

/// Examples that are valid settings once uncommented, which a test verifies.
const EXAMPLES: &str = r#"
# ---- From a fixed value to one that follows the clock ----
# Describe hours and calendars once,
#
# [calendars.bank_holidays]
# path = "bank-holidays.ics"
#
# [hours.desk]
# timezone = "Europe/London"
# weekly = { mon-fri = "09:00-17:00", sat = "10:00-14:00" }
# special = { "2026-12-24" = "09:00-13:00" }
# closed_on = ["bank_holidays"]
#
# and write such a line in [page.variables], in place of the one with the same name:
#
# is_open = { hours = "desk", show = "is_open" }
# open_hour = { hours = "desk", show = "opens_at", format = "hour", otherwise = 0 }
# opening_hours = { hours = "desk", show = "week" }
# holiday_flag = { calendar = "bank_holidays", show = "is_today" }
# seasonal_message = { when = [{ from = "2026-12-01", until = "2027-01-02", value = "Happy holidays!" }], otherwise = "" }
#
# A place below a key is named by a JSON Pointer, as in "/messages/seasonal"; the key itself then has no line of its own.
# rtconfd preview shows what will change, rtconfd check whether the page's schema accepts it.
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, Surroundings};
    use serde_json::json;

    fn api() -> Api {
        let flags = vec!["api.region=uk".parse().unwrap()];
        let surroundings = Surroundings { flags, ..Surroundings::default() };
        crate::settings::Connection::load(None, &surroundings).unwrap().api
    }

    fn settings(variables: &Value) -> String {
        let variables = variables.as_object().unwrap().clone();
        let page = RemotePage { variables, ..RemotePage::default() };
        let pages = [("A-1/live".parse().unwrap(), page)];
        write(&pages, &api(), &KeyPlace::Outside).files[0].1.clone()
    }

    #[test]
    fn the_commented_examples_are_valid_settings() {
        let text = settings(&json!({"other": 1}));
        let (block, examples) = text.split_once("# ---- From a fixed").unwrap();
        let open = |from: &str| {
            let lines = examples.lines().skip_while(|line| !line.contains(from)).skip(1);
            let lines = lines.take_while(|line| {
                line.len() < 2 || !line[2..].starts_with("and write") && !line[2..].starts_with("A place")
            });
            lines.map(|line| format!("{}\n", line.trim_start_matches(['#', ' ']))).collect::<String>()
        };
        let opened = format!("{block}{}{}", open("and write"), open("Describe"));
        let opened = opened.replace("# key_file", "key_file").replace("# on_drift", "on_drift");
        let parsed = Settings::parse("/x/rtconfd.toml".as_ref(), opened.as_bytes(), &Surroundings::default());
        let parsed = parsed.unwrap_or_else(|report| panic!("{}\n{opened}", report.render(false)));
        assert_eq!((parsed.blueprint.hours.len(), parsed.calendars.len()), (1, 1));
    }

    #[test]
    fn keys_of_every_kind_are_written_in_settings_syntax() {
        let text = settings(&json!({
            "plain": 1, "a/b": 2, "/c": 3, "~d": 4, "with \"quotes\"\n": 5, "s[n=1]": 7, "é": 8,
        }));
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("pointer = ")).collect();
        assert_eq!(
            lines,
            [
                r#"plain = { source = "A-1-live", pointer = "/plain" }"#,
                r#""a/b" = { source = "A-1-live", pointer = "/a~1b" }"#,
                r#""/~1c" = { source = "A-1-live", pointer = "/~1c" }"#,
                r#""~d" = { source = "A-1-live", pointer = "/~0d" }"#,
                r#""with \"quotes\"\n" = { source = "A-1-live", pointer = "/with \"quotes\"\n" }"#,
                r#""s[n=1]" = { source = "A-1-live", pointer = "/s[n=1]" }"#,
                r#""é" = { source = "A-1-live", pointer = "/é" }"#,
            ]
        );
    }

    #[test]
    fn unsupported_values_are_left_out_and_reported() {
        let variables = r#"{"": 1, "{{ x }}": 2, "huge": 1e999, "fine": 1}"#;
        let variables = serde_json::from_str::<Map<String, Value>>(variables).unwrap();
        let pages = [("A-1/live".parse().unwrap(), RemotePage { variables, ..RemotePage::default() })];
        let files = write(&pages, &api(), &KeyPlace::Outside);
        let reported: Vec<String> = files.remarks.iter().map(|problem| problem.message.clone()).collect();
        assert_eq!(
            reported,
            [
                "A-1/live: \"\": it cannot be owned, because it is not a valid variable name",
                "A-1/live: \"{{ x }}\": it cannot be owned, because it looks like a template",
                "A-1/live: \"huge\": its value cannot be kept in a file: the number 1e+999… is too long or too large",
            ]
        );
        assert_eq!(files.files[1], ("A-1.live.json".to_owned(), "{\n  \"fine\": 1\n}\n".to_owned()));
        assert!(files.files[0].1.contains("# Left alone on the page: \"huge\""), "{}", files.files[0].1);

        for (count, reported) in [(1_001, "\"k1000\": "), (1_500, "\"k1000\" and 499 more: ")] {
            let variables = (0..count).map(|number| (format!("k{number}"), json!(number))).collect();
            let pages = [("A-1/live".parse().unwrap(), RemotePage { variables, ..RemotePage::default() })];
            let files = write(&pages, &api(), &KeyPlace::Outside);
            assert_eq!((files.adopted[0].values.len(), files.remarks.len()), (MAX_VARIABLES, 1));
            let remark = &files.remarks[0];
            let expected = format!("A-1/live: {reported}a page block has at most 1000 variables");
            assert!(remark.message == expected && remark.hint.is_some(), "{remark}");
            assert_eq!(files.files[0].1.matches("# Left alone on the page").count(), 1);
        }
    }
}
