//! The metrics as Prometheus reads them, and the alerts, runbooks and dashboard that are shipped.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::docs::reference;
use crate::house::root;
use crate::support::{Api, Folder, always, running};

/// Runs promtool in a folder and returns all that it printed; panics unless it accepts its input.
fn promtool(folder: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut process = piped.expect("promtool is needed for this test: install the package prometheus");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ran = process.wait_with_output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "promtool {}:\n{printed}", arguments.join(" "));
    printed
}

fn shipped(name: &str) -> String {
    fs::read_to_string(root().join("config").join(name)).unwrap()
}

/// Returns the values of a key in the rules or their tests, without quotes.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines()
        .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(key)?.strip_prefix(": "))
        .map(|value| value.trim_matches('\''))
        .collect()
}

/// Returns the names that begin like a metric of the program.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("rtconfd_")).collect()
}

#[test]
fn promtool_accepts_the_alerts_and_their_tests() {
    let config = root().join("config");
    promtool(&config, &["check", "rules", "alerts.yml"], "");
    promtool(&config, &["test", "rules", "alerts_test.yml"], "");
}

/// promtool does not report an alert that no test names.
#[test]
fn every_alert_has_a_runbook_and_a_test_of_firing_and_of_not_firing() {
    let (alerts, tests) = (shipped("alerts.yml"), shipped("alerts_test.yml"));
    let names = values(&alerts, "alert");
    let runbooks = values(&alerts, "runbook_url");
    assert!(names.len() >= 10 && names.len() == runbooks.len(), "{names:?} {runbooks:?}");
    for key in ["for", "severity", "summary", "description"] {
        assert_eq!(values(&alerts, key).len(), names.len(), "each alert needs {key}");
    }
    for (name, runbook) in names.iter().zip(&runbooks) {
        let page = fs::read_to_string(root().join(runbook)).unwrap_or_default();
        assert!(page.starts_with(&format!("# {name}\n")), "{runbook} is the page of {name}");
        let listed = format!("[{name}](../{})", runbook.trim_start_matches("docs/"));
        assert!(reference("metrics.md").contains(&listed), "docs/reference/metrics.md lists {name}");
        let cases: Vec<&str> = tests.split("- eval_time: ").skip(1).collect();
        let of_alert = cases.iter().filter(|case| values(case, "alertname").contains(name));
        let (quiet, firing): (Vec<&str>, Vec<&str>) =
            of_alert.partition(|case| case.contains("exp_alerts: []"));
        assert!(!quiet.is_empty() && !firing.is_empty(), "{name}: {} {}", quiet.len(), firing.len());
    }
    let pages = fs::read_dir(root().join("docs/runbooks")).unwrap().count();
    assert_eq!(pages, names.len(), "each runbook belongs to an alert");
}

#[test]
fn the_dashboard_can_be_imported_into_any_grafana() {
    let dashboard: Value = serde_json::from_str(&shipped("grafana-dashboard.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!((&variables[0]["type"], &variables[0]["name"]), (&json!("datasource"), &json!("datasource")));
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64()), "{title} has the id of another panel");
        let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{title} is too wide");
        let rows = side("y")..side("y") + side("h");
        for cell in rows.flat_map(|y| (side("x")..side("x") + side("w")).map(move |x| (x, y))) {
            assert!(cells.insert(cell), "{title} covers another panel");
        }
        let targets = panel["targets"].as_array().unwrap();
        for source in targets.iter().map(|target| &target["datasource"]).chain([&panel["datasource"]]) {
            assert_eq!(source["uid"], "${datasource}", "{title}");
        }
    }
    // A query of the dashboard is valid where it is valid as a rule.
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules = targets.enumerate().map(|(number, target)| {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
        json!({"record": format!("query_{number}"), "expr": query})
    });
    let rules = json!({"groups": [{"name": "dashboard", "rules": rules.collect::<Vec<_>>()}]});
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yml"), rules.to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yml"], "");
}

#[test]
fn alerts_and_dashboard_use_only_documented_metrics() {
    let documented = reference("metrics.md");
    for name in ["alerts.yml", "alerts_test.yml", "grafana-dashboard.json"] {
        let text = shipped(name);
        let used = metrics_in(&text);
        assert!(used.len() > 8, "{name}: {used:?}");
        let metric = |name: &str| {
            name.strip_suffix("_bucket").or(name.strip_suffix("_count")).unwrap_or(name).to_owned()
        };
        let unknown: Vec<_> =
            used.iter().filter(|used| !documented.contains(&format!("`{}`", metric(used)))).collect();
        assert!(unknown.is_empty(), "{name}: docs/reference/metrics.md lacks {unknown:?}");
    }
    // The reverse: what the program measures can be seen.
    let dashboard = shipped("grafana-dashboard.json");
    let shown = metrics_in(&dashboard);
    let unseen: Vec<&str> = metrics_in(&documented)
        .into_iter()
        .filter(|name| !shown.contains(name) && !shown.contains(format!("{name}_bucket").as_str()))
        .collect();
    assert!(unseen.is_empty(), "the dashboard shows no {unseen:?}");
}

/// Returns OpenMetrics text in the older format of Prometheus, the only one that `promtool check
/// metrics` reads: there the name of a counter has its `_total` in the metadata too.
fn as_prometheus_text(metrics: &str) -> String {
    let mut text = metrics.to_owned();
    for line in metrics.lines() {
        let name = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter"));
        if let Some(name) = name {
            for metadata in ["HELP", "TYPE"] {
                text = text.replace(&format!("# {metadata} {name} "), &format!("# {metadata} {name}_total "));
            }
        }
    }
    text
}

#[tokio::test]
async fn promtool_accepts_the_metrics_of_a_running_daemon() {
    let api = Api::start();
    let folder = Folder::new(&api.url, &format!("[listen]\naddress = \"127.0.0.1:0\"\n{}", always("A-1")));
    let process = running(&folder).await;
    let port = process.port().await;
    api.until_variable("A-1", "is_open", &json!(true)).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("http://127.0.0.1:{port}/metrics")).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let metrics = answer.text().await.unwrap();
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    // promtool supplies this bucket where it is missing; without it Prometheus has no quantiles.
    assert!(metrics.contains("rtconfd_transition_lag_seconds_bucket{le=\"+Inf\"} 0\n"), "{metrics}");

    let problems = promtool(folder.path("").as_path(), &["check", "metrics"], &as_prometheus_text(&metrics));
    assert_eq!(problems, "");

    // This command has the parser of Prometheus for OpenMetrics; it wants a time with each sample.
    let timed = metrics.lines().map(|line| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("{line} 1795962622\n"),
    });
    folder.write("metrics.txt", &timed.collect::<String>());
    let import = ["tsdb", "create-blocks-from", "openmetrics", "metrics.txt", "blocks"];
    promtool(folder.path("").as_path(), &import, "");
}
