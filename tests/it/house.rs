//! What the repository promises of itself: the floors, the units, the reference of settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rtconfd::settings::{SCALARS, Settings, Surroundings};

/// Top to bottom, as in ARCHITECTURE.md. A module may use what stands below it.
const FLOORS: &[&str] = &[
    "cli",
    "listener",
    "simulator",
    "reconcile",
    "sources",
    "settings",
    "agents_api",
    "store",
    "clock",
    "plan",
    "schema",
    "desired",
    "hours",
    "calendar",
    "tables",
    "zone",
    "written",
    "model",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_module_uses_only_what_stands_below_it() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let mut seen = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(root().join("src")).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some(floor) = FLOORS.iter().position(|floor| *floor == module) else {
            assert!(["main", "lib"].contains(&module.as_str()), "{module} stands on no floor");
            continue;
        };
        seen.insert(module.clone(), ());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with a sentence", inside.display());
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let Some(other) = FLOORS.iter().position(|floor| *floor == used) else { continue };
                assert!(
                    other >= floor,
                    "{}:{}: {module} uses {used}, which stands above it",
                    inside.display(),
                    number + 1
                );
            }
        }
    }
    assert_eq!(seen.len(), FLOORS.len(), "a floor is gone: {seen:?}");
}

#[test]
fn the_architecture_names_every_floor() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for floor in FLOORS {
        assert!(text.contains(&format!("{floor}/")) || text.contains(&format!("{floor}.rs")), "{floor}");
    }
}

/// The pure floors know no file, no network, no clock and no async.
#[test]
fn the_pure_floors_are_pure() {
    let pure = FLOORS.iter().position(|floor| *floor == "plan").unwrap();
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    for file in files {
        let inside = file.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_owned();
        let is_pure = FLOORS[pure..]
            .iter()
            .any(|floor| inside.starts_with(&format!("{floor}/")) || inside == format!("{floor}.rs"));
        if !is_pure {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for banned in [
            "std::fs",
            "std::net",
            "std::env",
            "tokio::",
            "reqwest::",
            "async fn",
            "SystemTime",
            "Utc::now",
            "rusqlite::",
        ] {
            assert!(!text.contains(banned), "{inside} has {banned}");
        }
    }
}

#[test]
fn the_reference_of_settings_loads_and_names_every_setting() {
    let file = root().join("config/rtconfd.toml");
    let loaded = Settings::load(&file, &Surroundings::default());
    loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let text = fs::read_to_string(&file).unwrap();
    for path in SCALARS {
        let key = path.rsplit('.').next().unwrap();
        assert!(
            text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} ="))),
            "{path}"
        );
    }
    // With its comments opened the reference is still valid, so what it shows is true.
    let opened: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[')
                    || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                rest
            }
            Some(rest) if rest.starts_with("    {") || rest.starts_with("  ]") => rest,
            _ => line,
        })
        .filter(|line| !line.starts_with("base_url") && !line.starts_with("for_each"))
        .map(|line| format!("{line}\n"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rtconfd.toml");
    fs::write(
        &path,
        opened
            .replace("source = \"closures\"", "source = \"sites\"")
            .replace("calendar = \"staff\"", "calendar = \"bank_holidays\""),
    )
    .unwrap();
    let opened = Settings::load(&path, &Surroundings::default());
    opened.unwrap_or_else(|report| panic!("{}", report.render(false)));
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for name in ["rtconfd.service", "rtconfd-apply.service", "rtconfd-apply.timer"] {
        // The program stands elsewhere here; all else is as shipped.
        let unit = fs::read_to_string(root().join("systemd").join(name)).unwrap();
        let path = folder.path().join(name);
        fs::write(&path, unit.replace("/usr/local/bin/rtconfd", env!("CARGO_BIN_EXE_rtconfd"))).unwrap();
        paths.push(path);
    }
    let ran = Command::new("systemd-analyze").arg("verify").args(&paths).output();
    let ran = ran.expect("systemd-analyze is needed for this test: install the package systemd");
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("rtconfd")).collect();
    assert!(ran.status.success() && ours.is_empty(), "{told}");
}
