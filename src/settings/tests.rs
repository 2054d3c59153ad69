//! Error messages for invalid settings, as transcripts, and the precedence of layers. Transcripts
//! are long, and side by side they show that the messages agree.

use std::time::Duration;

use super::{Flag, Settings, StorePath, Surroundings};

const PAGE: &str = "[[page]]\nagent = \"A\"\nenvironment = \"live\"\nvariables = { x = 1 }\n";

fn load(text: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rtconfd.toml");
    std::fs::write(&path, text).unwrap();
    let surroundings = Surroundings {
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        flags: flags.iter().map(|flag| flag.parse::<Flag>().unwrap()).collect(),
        zoneinfo: None,
    };
    Settings::load(&path, &surroundings)
        .map_err(|report| report.render(false).replace(&path.display().to_string(), "rtconfd.toml"))
}

fn with_api(rest: &str) -> String {
    format!("[api]\nregion = \"uk\"\n{rest}{PAGE}")
}

#[test]
fn every_error_of_the_file_is_shown_in_one_run_each_with_a_caret() {
    let text = "resync = \"5 parsecs\"\n[api]\nregon = \"uk\"\n[sources.s]\npath = \"s.csv\"\ndelimiter = \"|\"\n[[page]]\nagent = \"a b\"\nenvironment = \"lve\"\n";
    let reported = load(text, &[], &[]).unwrap_err();
    let expected = "\
error: resync: invalid duration \"5 parsecs\"
 --> rtconfd.toml:1:10
  |
1 | resync = \"5 parsecs\"
  |          ^^^^^^^^^^^
  |
  = hint: write a number and a unit, as in 90s, 5m or 4h

error: unknown key `regon` in api
 --> rtconfd.toml:3:1
  |
3 | regon = \"uk\"
  | ^^^^^
  |
  = hint: did you mean `region`?

error: invalid delimiter \"|\"
 --> rtconfd.toml:6:13
  |
6 | delimiter = \"|\"
  |             ^^^
  |
  = hint: write \",\", \";\" or \"tab\"

error: [[page]] needs \"variables\"
 --> rtconfd.toml:7:1
  |
7 | [[page]]
  | ^^^^^^^^

error: invalid agent id \"a b\"
 --> rtconfd.toml:8:9
  |
8 | agent = \"a b\"
  |         ^^^^^
  |
  = hint: write the Project ID from the vendor's UI: letters, digits and -

error: unknown environment \"lve\"
 --> rtconfd.toml:9:15
  |
9 | environment = \"lve\"
  |               ^^^^^
  |
  = hint: write sandbox, pre-release or live, or a list of these
";
    assert_eq!(reported, expected, "got:\n{reported}");
}

#[test]
fn mistakes_are_reported_with_the_nearest_valid_name() {
    let variable = |definition: &str| {
        with_api("[hours.desk]\ntimezone = \"Europe/London\"\nweekly = \"Mo-Fr 09:00-17:00\"\n[sources.sites]\npath = \"s.csv\"\nkey = \"k\"\n[calendars.hols]\npath = \"h.ics\"\n").replace("x = 1", &format!("x = {definition}"))
    };
    for (text, expected) in [
        (variable("{ hours = \"dsk\", show = \"is_open\" }"), "unknown hours \"dsk\"\n"),
        (variable("{ hours = \"dsk\", show = \"is_open\" }"), "did you mean \"desk\"?"),
        (variable("{ hours = \"desk\", show = \"is_opn\" }"), "did you mean \"is_open\"?"),
        (variable("{ hours = \"\", show = \"is_open\" }"), "hint: write its name, as in desk"),
        (with_api("").replace("x = 1", ""), "hint: name one here, as in is_open ="),
        (with_api("").replace("x = 1", "\"\" = 1"), "hint: write the name of a key on the page, or /key/key"),
        (
            with_api("").replace("x = 1", "\"/\" = 1"),
            "hint: write the name of a key on the page, or /key/key",
        ),
        (
            with_api("").replace("x = 1", "x = 441632960000441632960000"),
            "hint: write it in quotes if it is text",
        ),
        (variable("{ hours = \"desk\", shw = \"is_open\" }"), "this defines no value"),
        (
            variable("{ hours = \"desk\", show = \"is_open\", format = \"hour\" }"),
            "is not a time and has no format",
        ),
        (
            variable("{ hours = \"desk\", show = \"opens_at\", format = \"ours\" }"),
            "unknown time format \"ours\"",
        ),
        (
            variable("{ hours = \"desk\", show = \"special_dates\", days = 0 }"),
            "write a whole number from 1 to 400",
        ),
        (variable("{ calendar = \"hol\", show = \"is_today\" }"), "did you mean \"hols\"?"),
        (variable("{ source = \"sits\", row = \"a\", column = \"b\" }"), "did you mean \"sites\"?"),
        (variable("{ column = \"b\" }"), "`column` requires a row"),
        (variable("{ show = \"is_open\" }"), "`show` requires `hours`"),
        (variable("\"{{ row.x }}\""), "needs a row to fill it in"),
        (variable("{ when = [{ value = 1 }], otherwise = 2 }"), "has no condition and would always hold"),
        (
            variable("{ when = [{ cron = \"0 8 * * *\", value = 1 }], otherwise = 2 }"),
            "a clause of when needs \"for\"",
        ),
        (
            variable("{ when = [{ cron = \"0 8 * * *\", for = \"40days\", value = 1 }], otherwise = 2 }"),
            "at most 31 days",
        ),
        (
            variable("{ when = [{ cron = \"61 8 * * *\", for = \"1h\", value = 1 }], otherwise = 2 }"),
            "invalid cron pattern",
        ),
        (
            variable(
                "{ when = [{ from = \"2026-12-02\", until = \"2026-12-01\", value = 1 }], otherwise = 2 }",
            ),
            "until is not after from",
        ),
        (
            variable("{ when = [{ hours = \"desk\", state = \"shut\", value = 1 }], otherwise = 2 }"),
            "write open or closed",
        ),
        (variable("{ when = [{ hours = \"desk\", value = 1 }] }"), "a variable needs \"otherwise\""),
        (variable("1, y = 2, \"/y/z\" = 3"), "/y/z and y overlap"),
        (
            with_api("[hours.desk]\ntimezone = \"Europe/Londn\"\nweekly = \"closed\"\n"),
            "did you mean \"Europe/London\"?",
        ),
        (with_api("[hours.desk]\nweekly = \"closed\"\n"), "needs a time zone"),
        (
            with_api("[hours.desk]\ntimezone = \"UTC\"\nweekly = { mon = \"09:00-25:00\" }\n"),
            "\"25:00\" is not a time",
        ),
        (
            with_api(
                "[hours.desk]\ntimezone = \"UTC\"\nweekly = { mon-wed = \"closed\", tue = \"closed\" }\n",
            ),
            "Tue has hours already",
        ),
        (
            with_api(
                "[hours.desk]\ntimezone = \"UTC\"\nweekly = \"closed\"\nspecial = { \"2026-02-30\" = \"closed\" }\n",
            ),
            "\"2026-02-30\" is not a date",
        ),
        (
            with_api("[hours.desk]\ntimezone = \"UTC\"\nweekly = \"closed\"\nclosed_on = [\"hls\"]\n"),
            "unknown calendar \"hls\"",
        ),
        (with_api("[sources.s]\npath = \"s.xls\"\n"), "a workbook (.xls) cannot be read"),
        (with_api("[sources.s]\npath = \"s.unknown\"\n"), "hint: set format = \"csv\" or format = \"json\""),
        (with_api("[sources.s]\npath = \"s.json\"\nkey = \"k\"\n"), "key does not apply to JSON"),
        (
            with_api("").replace("region = \"uk\"", "region = \"uk\"\nbase_url = \"http://127.0.0.1\""),
            "keep one of them",
        ),
        (with_api("").replace("region = \"uk\"", "region = \"ukk\""), "did you mean \"uk\"?"),
        (with_api("").replace("region = \"uk\"", "base_url = \"ftp://x\""), "must be http or https"),
        ("[api]\nregion = \"uk\"\n".to_owned(), "no page is defined"),
        ("page = []\n[[page]]\nagent = \"A-1\"\n".to_owned(), "remove the line page = []"),
        ("[api\n".to_owned(), "this is not TOML"),
        ("a = 1\na = 2\n".to_owned(), "this is not TOML"),
    ] {
        let reported = load(&text, &[], &[]).map(|_| ()).unwrap_err();
        assert!(reported.contains(expected), "{text}\n---\n{reported}\n--- lacks {expected}");
    }
}

#[test]
fn flags_override_the_environment_and_the_environment_overrides_the_file() {
    let text = with_api("")
        .replace("region = \"uk\"", "region = \"uk\"\nconcurrency = 3")
        .replace("[api]", "resync = \"1m\"\n[api]");
    let environment = [
        ("RTCONFD_RESYNC", "2m"),
        ("RTCONFD_API__CONCURRENCY", "4"),
        ("RTCONFD_LOG_FORMAT", "json"),
        ("RTCONFD_API_KEY", "0123"),
        ("RTCONFD_SERVICE_HOST", "10.0.0.1"),
        ("RTCONFD_PORT_80_TCP", "x"),
    ];
    let settings = load(&text, &environment, &["resync=5m", "resync=3m", "store.path=:memory:"]).unwrap();
    assert_eq!(settings.resync, Duration::from_secs(180));
    assert_eq!(settings.api.concurrency, 4);
    assert_eq!(settings.api.base_url, "https://api.uk.poly.ai");
    assert_eq!(settings.store.path, StorePath::Memory);
    assert!(settings.log.json);
    // A higher layer's base_url wins over the file's region.
    let settings = load(&text, &[("RTCONFD_API__BASE_URL", "http://127.0.0.1:4010/")], &[]).unwrap();
    assert_eq!(settings.api.base_url, "http://127.0.0.1:4010");

    let reported = load(&text, &[("RTCONFD_API__REGON", "uk")], &["resnc=1m"]).unwrap_err();
    assert!(reported.contains("environment RTCONFD_API__REGON: unknown setting"), "{reported}");
    assert!(
        reported.contains("did you mean RTCONFD_API__REGION?") && reported.contains("did you mean resync?"),
        "{reported}"
    );
    let reported = load(&text, &[("RTCONFD_RESYNC", "soon")], &[]).unwrap_err();
    assert!(reported.contains("environment RTCONFD_RESYNC: resync: invalid duration \"soon\""), "{reported}");
}

#[test]
fn regions_and_paths_are_resolved() {
    for region in ["us", "eu", "uk", "studio"] {
        let settings = load(&with_api("").replace("\"uk\"", &format!("\"{region}\"")), &[], &[]).unwrap();
        assert_eq!(settings.api.base_url, format!("https://api.{region}.poly.ai"));
    }
    let settings =
        load(&with_api("[sources.s]\npath = \"sub/s.tsv\"\n"), &[("STATE_DIRECTORY", "/var/lib/x")], &[])
            .unwrap();
    assert_eq!(settings.store.path, StorePath::File("/var/lib/x/rtconfd.sqlite".into()));
    let source = &settings.sources["s"];
    assert!(source.path.is_absolute() && source.path.ends_with("sub/s.tsv") && source.shown == "sub/s.tsv");
    assert_eq!((source.format.of.name(), source.format.layout.delimiter), ("csv", Some(b'\t')));
}

#[test]
fn a_key_in_the_settings_is_refused_and_not_printed() {
    for text in [
        with_api("").replace("region", "key = \"sk-1234\"\nregion"),
        with_api("").replace("region", "api_key = \"sk-1234\"\nregion"),
        with_api("").replace("region", "key = sk-1234\nregion"),
        with_api("").replace("region = \"uk\"", "base_url = \"https://me:sk-1234@api.example\""),
    ] {
        let reported = load(&text, &[], &[]).map(|_| ()).unwrap_err();
        assert!(!reported.contains("sk-1234"), "{reported}");
        assert!(reported.contains("rtconfd.toml:2"), "the place is reported: {reported}");
    }
}

#[test]
fn settings_may_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rtconfd.json");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write(
        r#"{"api": {"region": "uk"}, "page": [{"agent": "A", "environment": "live", "variables": {"x": 1.50}}]}"#,
    );
    assert!(Settings::load(&path, &Surroundings::default()).is_ok());
    write("{\"api\": {\n  \"regon\": \"uk\"}}");
    let report = Settings::load(&path, &Surroundings::default()).unwrap_err().render(false);
    assert!(report.contains("2 |   \"regon\": \"uk\"}}"), "{report}");
}

#[test]
fn a_key_is_sent_unencrypted_only_to_explicitly_allowed_hosts() {
    let with_url = |url: &str, rest: &str| {
        with_api("").replace("region = \"uk\"", &format!("base_url = \"{url}\"{rest}"))
    };
    let reported = load(&with_url("http://simulator.internal:4010", ""), &[], &[]).unwrap_err();
    let expected = "\
error: the API key would cross the network unencrypted
 --> rtconfd.toml:2:12
  |
2 | base_url = \"http://simulator.internal:4010\"
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = hint: use https, or set allow_http = [\"simulator.internal\"] under [api]
";
    assert_eq!(reported, expected, "got:\n{reported}");

    let allow = "\nallow_http = [\"Simulator.Internal\", \"10.0.0.7\"]";
    for url in ["http://simulator.internal:4010", "http://SIMULATOR.internal", "http://10.0.0.7:80"] {
        let settings = load(&with_url(url, allow), &[], &[]).unwrap();
        let [warning] = settings.warnings.as_slice() else { panic!("{url}: {:?}", settings.warnings) };
        assert_eq!(warning.message, "the API key will cross the network unencrypted");
    }
    for url in ["http://127.0.0.1:4010", "http://localhost", "http://[::1]:4010", "https://api.example"] {
        let settings = load(&with_url(url, ""), &[], &[]).unwrap();
        assert!(settings.warnings.is_empty(), "{url}: {:?}", settings.warnings);
    }
    // Names that only resemble an allowed one or this machine.
    for url in
        ["http://simulator.internal.evil", "http://127.0.0.1.evil", "http://10.0.0.77", "http://0.0.0.0"]
    {
        let reported = load(&with_url(url, allow), &[], &[]).unwrap_err();
        assert!(reported.contains("would cross the network unencrypted"), "{url}: {reported}");
    }
    // The environment cannot redirect the key either.
    let environment = [("RTCONFD_API__BASE_URL", "http://elsewhere.internal")];
    let reported = load(&with_api(""), &environment, &[]).unwrap_err();
    assert!(reported.contains("environment RTCONFD_API__BASE_URL: the API key would"), "{reported}");
}

#[test]
fn allowed_hosts_are_names_only() {
    for name in ["http://simulator.internal", "simulator.internal:4010", "*.internal", "a b", "", "u@host"] {
        let text = with_api(&format!("allow_http = [\"{name}\"]\n"))
            .replace("region = \"uk\"", "base_url = \"http://127.0.0.1\"");
        let reported = load(&text, &[], &[]).unwrap_err();
        assert!(reported.contains("allow_http: this is not a host name"), "{name}: {reported}");
        assert!(reported.contains("rtconfd.toml:3:15"), "{name}: {reported}");
    }
    let reported = load(&with_api("allow_http = \"simulator.internal\"\n"), &[], &[]).unwrap_err();
    assert!(reported.contains("allow_http"), "{reported}");
}

fn with_calendar(lines: &str) -> String {
    with_api(&format!("[calendars.hols]\n{lines}\n"))
}

#[test]
fn invalid_public_holidays_are_reported_with_a_hint() {
    let text = with_calendar(
        "public_holidays = \"GB-ENG\"\nadd = { \"2026-02-30\" = \"x\", \"2026-06-05\" = \" \" }\nremove = [\"2026-12-27\"]\n[calendars.more]\npublic_holidays = \"GB-ENG\"\nremove = [\"2026-12-27\"]\n[calendars.code]\npublic_holidays = \"GB-LND\"",
    );
    let expected = "\
error: \"2026-02-30\" is not a date
 --> rtconfd.toml:5:9
  |
5 | add = { \"2026-02-30\" = \"x\", \"2026-06-05\" = \" \" }
  |         ^^^^^^^^^^^^
  |
  = hint: write YYYY-MM-DD, as in 2026-12-24

error: the added date has no name
 --> rtconfd.toml:5:44
  |
5 | add = { \"2026-02-30\" = \"x\", \"2026-06-05\" = \" \" }
  |                                            ^^^
  |
  = hint: name it, as in \"Founders' day\"

error: 2026-12-27 is not a public holiday of GB-ENG
 --> rtconfd.toml:9:11
  |
9 | remove = [\"2026-12-27\"]
  |           ^^^^^^^^^^^^
  |
  = hint: correct the date; the nearest public holidays are 2026-12-25 (Christmas Day), 2026-12-26 (Boxing Day), 2026-12-28 (Boxing Day (observed))

error: unknown public holiday region \"GB-LND\"
  --> rtconfd.toml:11:19
   |
11 | public_holidays = \"GB-LND\"
   |                   ^^^^^^^^
   |
   = hint: write one of GB-ENG (England), GB-NIR (Northern Ireland), GB-SCT (Scotland), GB-WLS (Wales); elsewhere in United Kingdom write \"GB\"
";
    let reported = load(&text, &[], &[]).unwrap_err();
    assert_eq!(reported, expected, "got:\n{reported}");
}

#[test]
fn a_calendar_is_a_file_or_public_holidays() {
    let many = vec!["\"2026-12-25\""; 1001].join(", ");
    for (lines, message, hint) in [
        (
            "",
            "a calendar needs \"path\" or \"public_holidays\"",
            "write path = \"FILE.ics\", or public_holidays",
        ),
        (
            "path = \"x.ics\"\npublic_holidays = \"FR\"",
            "path and public_holidays are both set",
            "keep one of them",
        ),
        (
            "path = \"x.ics\"\nadd = { \"2026-06-05\" = \"x\" }",
            "add is only for public_holidays",
            "change the dates in the calendar file",
        ),
        (
            "path = \"x.ics\"\nremove = []",
            "remove is only for public_holidays",
            "change the dates in the calendar file",
        ),
        ("public_holidays = \"fr\"", "unknown public holiday region \"fr\"", "did you mean \"FR\" (France)?"),
        ("public_holidays = 33", "public_holidays must be text, not a number", ""),
        ("public_holidays = \"FR\"\nadd = [\"2026-06-05\"]", "add must be a table, not a list", ""),
        ("public_holidays = \"FR\"\nremove = \"2026-12-25\"", "remove must be a list, not text", ""),
        ("public_holidays = \"FR\"\nadds = {}", "unknown key `adds` in a calendar", "did you mean `add`?"),
        (
            &format!("public_holidays = \"FR\"\nremove = [{many}]"),
            "remove has 1001 dates, and at most 1000 are read",
            "write a calendar file",
        ),
    ] {
        let reported = load(&with_calendar(lines), &[], &[]).map(|_| ()).unwrap_err();
        let lines = lines.get(..200).unwrap_or(lines);
        assert!(reported.contains(message) && reported.contains(hint), "{lines}\n---\n{reported}");
        assert_eq!(reported.matches("error:").count(), 1, "{reported}");
    }
    let settings = load(&with_calendar("path = \"x.ics\""), &[], &[]).unwrap();
    assert!(settings.calendars.contains_key("hols") && settings.blueprint.public_holidays().next().is_none());
    // Dates may use TOML's own type.
    let lines = "public_holidays = \"FR\"\nadd = { 2026-06-05 = \"Founders' day\" }\nremove = [2026-12-25]";
    let settings = load(&with_calendar(lines), &[], &[]).unwrap();
    assert!(settings.calendars.is_empty(), "public holidays have no file to read");
    let codes: Vec<_> =
        settings.blueprint.public_holidays().map(|(name, public)| (name, public.region.code)).collect();
    assert_eq!(codes, [("hols", "FR")]);
}

#[test]
fn a_misspelled_key_is_reported_once() {
    for (text, key) in [
        (with_api("[hours.desk]\ntimezone = \"UTC\"\nwekly = \"closed\"\n"), "wekly"),
        (with_api("").replace("region =", "regon ="), "regon"),
        (with_api("").replace("agent =", "agnet ="), "agnet"),
        (with_api("").replace("environment =", "environments ="), "environments"),
        (with_api("[sources.sites]\npth = \"sites.csv\"\n"), "pth"),
    ] {
        let reported = load(&text, &[], &[]).map(|_| ()).unwrap_err();
        assert!(reported.contains(&format!("unknown key `{key}`")), "{text}\n---\n{reported}");
        assert_eq!(reported.matches("error:").count(), 1, "{reported}");
    }
}

#[test]
fn a_country_code_is_warned_about_when_all_its_subdivisions_have_more_holidays() {
    for (lines, expected) in [
        ("public_holidays = \"GB\"", Some("every subdivision of GB has more public holidays than GB alone")),
        ("public_holidays = \"GB-SCT\"", None),
        ("public_holidays = \"FR\"", None),
        // A user who adds the missing dates knows about the gap.
        ("public_holidays = \"GB\"\nadd = { \"2026-04-06\" = \"Easter Monday\" }", None),
    ] {
        let settings = load(&with_calendar(lines), &[], &[]).unwrap();
        let warned: Vec<&str> = settings.warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(warned, expected.into_iter().collect::<Vec<_>>(), "{lines}");
        assert!(settings.warnings.iter().all(|warning| warning.origin.as_ref().unwrap().line == 4));
    }
}

#[test]
fn public_holidays_are_stored_with_the_settings() {
    let lines = "public_holidays = \"FR\"\nadd = { 2026-06-05 = \"Founders' day\" }\nremove = [2026-12-25]";
    let settings = load(&with_calendar(lines), &[], &[]).unwrap();
    let again = Settings::remembered(&settings.written, &settings.file, &settings.blueprint.zones).unwrap();
    assert_eq!(again.written, settings.written);
    assert_eq!(again.blueprint.public_holidays().count(), 1);
}

#[test]
fn a_promoted_page_without_a_persistent_store_is_warned_about() {
    for (path, warned) in [(":memory:", 1), ("s.sqlite", 0)] {
        let page = "[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nfollow = \"sandbox\"\nafter = \"2h\"\nvariables = { a = 1 }";
        let settings = with_api(&format!("[store]\npath = \"{path}\"\n")) + page;
        let reported = load(&settings, &[], &[]).unwrap().warnings;
        assert_eq!(reported.len(), warned, "{path}: {reported:?}");
    }
}
