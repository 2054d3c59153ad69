//! Checks of the shipped files: the systemd units and the settings reference.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rtconfd::settings::{SCALARS, Settings, Surroundings};

use crate::support::{Api, Folder, SITES, until};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
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
fn the_settings_reference_loads_and_names_every_setting() {
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
    // The reference is also valid with its examples uncommented.
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
        .filter(|line| !["base_url", "for_each", "page = []"].iter().any(|start| line.starts_with(start)))
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
    // The two kinds of stores exclude each other.
    let opened = ["path = \"/var", "url = \"postgres"].map(|excluded| {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with(excluded));
        // The files of a database require its address.
        let lines = lines.filter(|line| {
            !excluded.starts_with("url") || !line.contains("-password\"") && !line.contains("db-ca")
        });
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        Settings::parse(&path, text.as_bytes(), &Surroundings::default())
    });
    opened
        .into_iter()
        .for_each(|opened| drop(opened.unwrap_or_else(|report| panic!("{}", report.render(false)))));
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for name in ["rtconfd.service", "rtconfd-apply.service", "rtconfd-apply.timer"] {
        // Only the path of the program differs from the shipped unit.
        let unit = fs::read_to_string(root().join("systemd").join(name)).unwrap();
        let path = folder.path().join(name);
        let program = concat!("=", env!("CARGO_BIN_EXE_rtconfd"), " ");
        fs::write(&path, unit.replace("=rtconfd ", program)).unwrap();
        paths.push(path);
    }
    // The manual is installed only with the package.
    let ran = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output();
    let ran = ran.expect("systemd-analyze is needed for this test: install the package systemd");
    let reported = String::from_utf8_lossy(&ran.stderr).into_owned();
    let ours: Vec<&str> = reported.lines().filter(|line| line.contains("rtconfd")).collect();
    assert!(ran.status.success() && ours.is_empty(), "{reported}");
}

/// The highest score that `systemd-analyze security` may give, in tenths.
const MAX_EXPOSURE: u32 = 15;

#[test]
fn the_units_have_a_low_exposure_score() {
    for name in ["rtconfd.service", "rtconfd-apply.service"] {
        let ran = Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=yes", &format!("--threshold={MAX_EXPOSURE}")])
            .arg(root().join("systemd").join(name))
            .output()
            .expect("systemd-analyze is needed for this test: install the package systemd");
        let (table, error) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(table.contains("Overall exposure level"), "systemd 250 or later is needed: {error}");
        let exposed: Vec<&str> = table.lines().filter(|line| !line.starts_with('✓')).collect();
        assert!(ran.status.success(), "{name} is exposed:\n{}", exposed.join("\n"));
    }
}

/// A process with its own command line, ended with the test.
struct Started(Child);

impl Started {
    async fn terminate(mut self) {
        let reported = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(reported.success());
        let mut status = None;
        until("the process ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert!(status.unwrap().success(), "{status:?}");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Binds a socket in place of systemd's notify socket.
fn notify_socket(folder: &Folder) -> UnixDatagram {
    let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    socket
}

fn reported(socket: &UnixDatagram) -> String {
    let mut message = [0; 512];
    let length = socket.recv(&mut message).expect("a message to systemd");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

/// Removes inherited variables with the prefix of settings from a command.
fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RTCONFD_")) {
        command.env_remove(name);
    }
}

const CSV: &str = "site,agent,hours,phone\na,A-1,Mo-Fr 09:00-17:00,1\n";

/// Applies the filters of the units by hand, since systemd does not run under the tests.
#[tokio::test]
async fn the_program_works_inside_the_sandbox_of_the_units() {
    let confined = |folder: &Folder, unit: &str, arguments: &[&str]| {
        let mut command = Command::new("python3");
        command
            .arg(root().join(".ci/run-confined.py"))
            .arg(root().join("systemd").join(unit))
            .arg(env!("CARGO_BIN_EXE_rtconfd"))
            .args(arguments)
            .current_dir(folder.path(""))
            .stderr(fs::File::create(folder.path("log.txt")).unwrap())
            .env("NOTIFY_SOCKET", folder.path("notify"));
        without_settings(&mut command);
        command
    };
    let api = Api::start();
    // A host name, so that name resolution runs inside the filter too.
    let folder = Folder::new(&api.url.replace("127.0.0.1", "localhost"), SITES);
    folder.write("sites.csv", CSV);
    let socket = notify_socket(&folder);

    let applied = confined(&folder, "rtconfd-apply.service", &["apply"]).status();
    let applied = applied.expect("python3 is needed for this test: install the package python3");
    assert!(applied.success(), "{}", fs::read_to_string(folder.path("log.txt")).unwrap());
    assert_eq!(api.variables("A-1")["phone"], "1");

    let daemon = Started(confined(&folder, "rtconfd.service", &["run"]).spawn().unwrap());
    assert!(reported(&socket).contains("READY=1"));
    folder.write("sites.csv", &CSV.replace(",1\n", ",2\n"));
    api.until_variable("A-1", "phone", &"2".into()).await;
    daemon.terminate().await;
}

/// The memory holds the key.
///
/// Other processes of the same user cannot read it through `/proc` or core dumps.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn other_processes_cannot_read_the_memory_of_the_daemon() {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.write("sites.csv", CSV);
    let socket = notify_socket(&folder);
    // Root may read everything, so as root the test runs the program as an unprivileged user, who
    // needs access to the folder.
    let program = folder.path("rtconfd");
    fs::copy(env!("CARGO_BIN_EXE_rtconfd"), &program).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let nobody = is_root.then_some(65_534);
    if is_root {
        let inside = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().path());
        for path in inside.chain([folder.path("")]) {
            chown(path, nobody, nobody).unwrap();
        }
    }
    let as_user = |program: &Path| {
        let mut command = Command::new(program);
        if let Some(user) = nobody {
            command.uid(user).gid(user);
        }
        command
    };
    let can_read = |process: &Started, file: &str| {
        let path = format!("/proc/{}/{file}", process.0.id());
        as_user(Path::new("cat")).arg(path).output().unwrap().status.success()
    };

    let other = Started(as_user(Path::new("sleep")).arg("600").spawn().unwrap());
    assert!(can_read(&other, "environ"), "a process can read an ordinary process of its user");

    let mut daemon = as_user(&program);
    daemon.arg("run").current_dir(folder.path("")).env("NOTIFY_SOCKET", folder.path("notify"));
    daemon.stderr(fs::File::create(folder.path("log.txt")).unwrap());
    without_settings(&mut daemon);
    let daemon = Started(daemon.spawn().unwrap());
    assert!(reported(&socket).contains("READY=1"));
    for file in ["environ", "maps", "auxv"] {
        assert!(!can_read(&daemon, file), "{file} can be read");
    }
    let environment = format!("/proc/{}/environ", daemon.0.id());
    assert_eq!(
        fs::metadata(environment).unwrap().uid(),
        0,
        "/proc files of a process without dumps belong to root"
    );
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{cores}");
    // The daemon cannot read its own files under /proc either, and still works.
    folder.write("sites.csv", &CSV.replace(",1\n", ",2\n"));
    api.until_variable("A-1", "phone", &"2".into()).await;
    daemon.terminate().await;
}

/// Allows chrono-tz for zone names only.
///
/// Its rules are more than a year behind the zone database.
#[test]
fn no_code_uses_the_older_zone_database() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let using = files.iter().filter(|file| fs::read_to_string(file).unwrap().contains("chrono_tz"));
    let using: Vec<&Path> = using.map(|file| file.strip_prefix(root().join("src")).unwrap()).collect();
    assert_eq!(using, [Path::new("zone/names.rs")]);
    let text = fs::read_to_string(root().join("src/zone/names.rs")).unwrap();
    assert_eq!(text.matches("chrono_tz").count(), 1);
    assert!(text.contains("chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())"));
    // Our rules are newer where the two differ.
    let at = chrono::NaiveDate::from_ymd_opt(2026, 12, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
    for (name, hours) in [
        ("America/Vancouver", -7),
        ("America/Edmonton", -6),
        ("America/Winnipeg", -5),
        ("Africa/Casablanca", 0),
    ] {
        let ours = rtconfd::zone::Database::embedded().zone(name).unwrap().offset_at(at.and_utc());
        let theirs: chrono_tz::Tz = name.parse().unwrap();
        let theirs = chrono::Offset::fix(&chrono::TimeZone::offset_from_utc_datetime(&theirs, &at));
        assert_eq!(ours.local_minus_utc(), hours * 3600, "{name}");
        assert_ne!(ours, theirs, "{name}: chrono-tz is up to date; remove this test");
    }
}
