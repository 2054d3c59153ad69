//! Settings beyond their limits: sizes, templates, nested `each` and cron patterns.

use std::sync::Arc;

use rtconfd::compile::{Inputs, World};
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::tables::{Table, parse_csv, parse_json};

use super::{Failures, ends};
use crate::support::{Folder, at, desk};

fn load(name: &str, text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    ends("settings", move || {
        Settings::load(&file, &Surroundings::default()).map_err(|report| report.render(false))
    })
}

#[test]
fn settings_beyond_their_limits_are_refused() {
    let mut wrong = Failures::default();
    let api = "[api]\nregion = \"uk\"\n";
    let page = "[[page]]\nagent=\"A\"\nenvironment=\"live\"\nvariables={x=1}\n";
    let keys = |count: usize| (0..count).map(|index| format!("k{index} = 1\n")).collect::<String>();
    let wrong_values = (0..900).map(|index| format!("x{index}={{}}")).collect::<Vec<_>>().join(",");
    let many = |what: &str| {
        (0..1_001).map(|index| format!("[{what}.n{index}]\npath = \"x.csv\"\n")).collect::<String>()
    };
    let public = |count: usize, code: &str, rest: &str| {
        let calendar = |index| format!("[calendars.n{index}]\npublic_holidays = \"{code}\"\n{rest}\n");
        format!("{api}{}{page}", (0..count).map(calendar).collect::<String>())
    };
    let no_holidays = format!("remove = [{}]", "\"2026-12-27\",".repeat(300));
    for (name, text, expected) in [
        ("s.toml", public(1_000, "GB-ENG", ""), "more than 200 calendars have public holidays"),
        ("s.toml", public(200, &"x".repeat(50), ""), "and 100 more"),
        ("s.toml", public(200, "Untied Sttes of Americca", ""), "and 100 more"),
        ("s.toml", public(1, &"x".repeat(5_000), ""), "unknown public holiday region"),
        ("s.toml", public(200, "US-CA", &no_holidays), "more"),
        ("s.toml", format!("# {}\n", "x".repeat(2 << 20)), "more than 1048576 bytes"),
        ("s.toml", format!("a = [{}]", "1,".repeat(250_000)), "more than 200000 values"),
        ("s.toml", keys(10_001), "more than 10000 keys in one table"),
        ("s.toml", format!("{api}{}", page.repeat(5_001)), "may have at most 5000"),
        ("s.toml", format!("{api}{}{page}", many("sources")), "more than 1000 sources"),
        ("s.toml", format!("{api}{}{page}", many("calendars")), "more than 1000 calendars"),
        (
            "s.toml",
            format!("{api}{}[page.variables]\n{}", page.replace("variables={x=1}\n", ""), keys(1_001)),
            "the page owns 1001 variables",
        ),
        ("s.toml", format!("{api}{page}").replace("x=1", &wrong_values), "and 800 more"),
        ("s.toml", format!("a = {}", "[".repeat(100_000)), "this is not TOML"),
        ("s.toml", format!("a = {}", "{a=".repeat(50_000)), "this is not TOML"),
        ("s.toml", format!("{}a = 1", "a.".repeat(100_000)), "this is not TOML"),
        ("s.toml", format!("[{}a]\n", "a.".repeat(100_000)), "this is not TOML"),
        ("s.json", "[".repeat(100_000), "levels deep for its size"),
        ("s.toml", "9".repeat(400) + " = 1\n", "unknown key"),
        ("s.toml", format!("a = {}\n", "9".repeat(400)), "hint: write it in quotes if it is text"),
        ("s.toml", "a = nan\n".to_owned(), "JSON has no infinity and no NaN"),
        ("s.yaml", "a: &a [x,x]\nb: &b [*a,*a]\n".to_owned(), "unsupported format: settings in YAML"),
    ] {
        let reported = load(name, &text).map_or_else(|reported| reported, |_| "taken".to_owned());
        let is_right = reported.contains(expected) && reported.len() < 50_000;
        wrong.expect(is_right, format!("{expected}: {} bytes: {reported}", reported.len()));
    }
}

#[test]
fn a_missing_settings_file_is_not_searched_for_elsewhere() {
    let folder = Folder::new("http://127.0.0.1:9", &desk("A-1"));
    std::fs::create_dir_all(folder.path("deep/er")).unwrap();
    for file in ["deep/rtconfd.toml", "deep/er/rtconfd.toml"] {
        let report = Settings::load(&folder.path(file), &Surroundings::default()).unwrap_err();
        assert!(report.render(false).contains("cannot read the settings"), "{file}");
    }
}

#[test]
fn a_template_does_a_bounded_amount_of_work() {
    let rows = |text: &str, agent: &str| {
        let sites = "[sources.s]\npath = \"s.csv\"\nkey = \"k\"\n[[page]]\nfor_each = \"s\"\nenvironment = \"live\"\n";
        let settings = format!(
            "[api]\nregion = \"uk\"\n{sites}agent = \"A-1\"\nvariables = {{ x = {} }}\n",
            toml_text(text)
        );
        let settings = load("s.toml", &settings)?;
        let table =
            parse_csv(&"s.csv".into(), &format!("k,a\n{agent},{}\n", "z".repeat(9_000)), b',', Some("k"));
        let mut inputs = Inputs::default();
        inputs.tables.insert("s".to_owned(), Arc::new(Table::Rows(table.unwrap())));
        ends("a template", move || {
            let world = World::new(&settings.blueprint, &inputs, at("2026-11-23T12:00:00Z"), None);
            world.problems().next().map_or(Ok(()), |problem| Err(problem.to_string()))
        })
    };
    for good in ["{{ row.k }}", "*{{ row.k }}*", "{% if row.k == '*' %}x{% else %}{{ row.k }}{% endif %}"] {
        assert_eq!(rows(good, "1"), Ok(()), "{good}");
    }
    let mut wrong = Failures::default();
    let doubling: String = (0..40).map(|_| "{% set a = a + a %}").collect();
    let nested = "{% for a in [[a, a]] %}".repeat(40);
    for (bad, expected) in [
        ("{{ 'x' * 1000000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ [row.k] * 90000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ '}}' * 90000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ '\\é' * 90000000 }}".to_owned(), "uses *, which is not supported"),
        ("{{ row.k }}{{ 9 ** 99999 }}".to_owned(), "uses *, which is not supported"),
        ("{# {{ ' #}{{ [0] * 90000000 }}{# ' }} #}".to_owned(), "contains a comment"),
        ("{% raw %}{{ ' {% endraw %}{{ [0] * 90000000 }}{{ ' }}".to_owned(), "{% raw %}"),
        (format!("{{% if row.k %}}{doubling}{{{{ a }}}}{{% endif %}}"), "{% set %}"),
        (format!("{{%- with a = [0] %}}{doubling}{{{{ a }}}}{{% endwith %}}"), "{% with %}"),
        (nested, "{% for %}"),
        ("{%+ for i in range(1000000000) %}x{% endfor %}".to_owned(), "{% for %}"),
        ("{{ range(1000000000) }}".to_owned(), "fails"),
        (format!("{{{{ {}row.k{} }}}}", "(".repeat(1_000), "~ row.k)".repeat(300)), "fails"),
        ("{{ row.a }}".repeat(10), "more than 65536 bytes result"),
        ("{{ row.k }}".repeat(1_000), "the template has 11000 bytes"),
        ("{{ ".to_owned() + &"(".repeat(3_000), "fails"),
    ] {
        let reported = rows(&bad, "1").map_or_else(|reported| reported, |()| "filled in".to_owned());
        wrong.expect(reported.contains(expected), format!("{expected}: {reported}"));
    }
    // As deep as the length limit of a template allows.
    let _ = rows(&format!("{{{{ {}row.k }}}}", "not ".repeat(1_000)), "1");
}

#[test]
fn nested_each_makes_a_bounded_number_of_values() {
    let problems = |rows: usize, agents: usize| {
        let settings = load(
            "s.toml",
            r#"
[api]
region = "uk"
[sources.pages]
path = "pages.csv"
key = "k"
[sources.s]
path = "s.csv"
key = "k"
[[page]]
for_each = "pages"
agent = "{{ row.k }}"
environment = "live"
variables.x = { each = "s", item = { each = "s", item = 1 } }
"#,
        )
        .unwrap();
        let table = |file: &str, count: usize| {
            let text: String = (0..count).fold("k\n".to_owned(), |text, row| format!("{text}A{row}\n"));
            Arc::new(Table::Rows(parse_csv(&file.into(), &text, b',', Some("k")).unwrap()))
        };
        let mut inputs = Inputs::default();
        inputs.tables.insert("pages".to_owned(), table("pages.csv", agents));
        inputs.tables.insert("s".to_owned(), table("s.csv", rows));
        ends("each within each", move || {
            let world = World::new(&settings.blueprint, &inputs, at("2026-11-23T12:00:00Z"), None);
            world.problems().map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    let is_refused = |problems: &[String]| problems.iter().any(|problem| problem.contains("too many rows"));
    assert_eq!(problems(200, 2), Vec::<String>::new(), "200 + 200 * 200 on a page");
    assert!(is_refused(&problems(300, 1)), "on one page");
    assert!(is_refused(&problems(200, 15)), "on all pages");
}

#[test]
fn hours_in_nested_each_are_bounded_more_tightly() {
    let problems = |rows: usize| {
        let settings = load(
            "s.toml",
            r#"
[api]
region = "uk"
[sources.s]
path = "s.csv"
key = "k"
[[page]]
agent = "A"
environment = "live"
timezone = "UTC"
variables.x = { each = "s", item = { each = "s", hours = { weekly = "Mo-Fr 09:00-17:00" }, item = { show = "is_open" } } }
"#,
        )
        .unwrap();
        let text: String = (0..rows).fold("k\n".to_owned(), |text, row| format!("{text}A{row}\n"));
        let table = Table::Rows(parse_csv(&"s.csv".into(), &text, b',', Some("k")).unwrap());
        let mut inputs = Inputs::default();
        inputs.tables.insert("s".to_owned(), Arc::new(table));
        let world = World::new(&settings.blueprint, &inputs, at("2026-11-23T12:00:00Z"), None);
        world.problems().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(problems(90), Vec::<String>::new(), "90 + 5 * 90 * 90 on a page");
    let refused = problems(110);
    assert!(refused.iter().any(|problem| problem.contains("too many rows")), "{refused:?}");
}

#[test]
fn a_huge_value_of_a_source_concerns_only_the_page_that_takes_it() {
    let problems = |bytes: usize| {
        let settings = load(
            "s.toml",
            r#"
[api]
region = "uk"
[sources.s]
path = "s.json"
[[page]]
agent = "A"
environment = "live"
variables = { x = { source = "s", pointer = "/x" } }
[[page]]
agent = "B"
environment = "live"
variables = { y = { source = "s", pointer = "/y" } }
"#,
        )
        .unwrap();
        let text = format!("{{\"y\": 1,\n\"x\": [\"{}\"]}}", "x".repeat(bytes));
        let mut inputs = Inputs::default();
        let tree = Table::Tree(parse_json(&"s.json".into(), &text).unwrap());
        inputs.tables.insert("s".to_owned(), Arc::new(tree));
        let world = World::new(&settings.blueprint, &inputs, at("2026-11-23T12:00:00Z"), None);
        assert!(
            world.pages.iter().any(|managed| managed.page.id.agent == "B" && managed.problems.is_empty())
        );
        world.problems().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(problems((2 << 20) - 2), Vec::<String>::new());
    let refused = problems(2 << 20);
    assert!(refused[0].contains("s.json:2:") && refused[0].contains("larger than 2 MiB"), "{refused:?}");
}

fn toml_text(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn a_cron_pattern_without_a_date_is_refused_without_a_search() {
    let with = |pattern: &str| {
        let page = "[[page]]\nagent = \"A\"\nenvironment = \"live\"\ntimezone = \"UTC\"\n";
        load(
            "s.toml",
            &format!(
                "[api]\nregion = \"uk\"\n{page}variables = {{ x = {{ when = [{{ cron = \"{pattern}\", for = \"1h\", value = 1 }}], otherwise = 2 }} }}\n"
            ),
        )
    };
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"] {
        let reported = with(never).map(|_| ()).unwrap_err();
        assert!(reported.contains("matches no date"), "{reported}");
    }
    for rare in ["0 0 29 2 *", "0 0 31 12 *", "0 0 * * FRI#5", "*/7 * * * *", "0 0 L 2 *"] {
        with(rare).unwrap();
    }
    assert!(with(&"1,".repeat(50_000)).is_err());
}
