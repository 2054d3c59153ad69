//! Every way a file can change, on a real file system with real inotify. The re-stat interval is so
//! long that only events explain a detected change, except in the one test of the re-stat.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rtconfd::settings::{Settings, Surroundings};
use rtconfd::sources::{Content, Disk, Files, OtherFiles, ReadFiles, Stamp, Unread, Watched, watch};
use rtconfd::tables::Table;

use crate::support::{Folder, limit, write_atomically};

const HOUR: Duration = Duration::from_secs(3600);

struct Watching {
    folder: Folder,
    reported: Receiver<Watched>,
    _stop: Box<dyn std::any::Any>,
}

impl Watching {
    fn start(restat: Duration, prepare: impl FnOnce(&Folder)) -> Self {
        Self::reading(restat, Box::new(Disk::default()), prepare)
    }

    fn reading(restat: Duration, reader: Box<dyn ReadFiles>, prepare: impl FnOnce(&Folder)) -> Self {
        let folder = Folder::new(
            "http://127.0.0.1:1",
            "[sources.s]\npath = \"in/s.csv\"\nkey = \"k\"\n[[page]]\nagent = \"A\"\nenvironment = \"live\"\nvariables = { x = 1 }\n",
        );
        fs::create_dir(folder.path("in")).unwrap();
        prepare(&folder);
        let settings = Settings::load(&folder.path("rtconfd.toml"), &Surroundings::default()).unwrap();
        let (send, reported) = channel();
        let files = Files::read_by(&settings, reader);
        let beside = OtherFiles { key_file: Some(folder.path("key")), zoneinfo: None };
        let stop = watch(files, beside, restat, move |watched| send.send(watched).is_ok()).unwrap();
        Self { folder, reported, _stop: Box::new(stop) }
    }

    fn new() -> Self {
        let watching = Self::start(HOUR, |folder| fs::write(folder.path("in/s.csv"), csv("first")).unwrap());
        watching.sees("first");
        watching
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path("in/s.csv")
    }

    /// Waits for a revision with this value as its only cell.
    #[track_caller]
    fn sees(&self, expected: &str) {
        loop {
            let watched =
                self.reported.recv_timeout(limit()).unwrap_or_else(|_| panic!("no revision with {expected}"));
            if let Watched::Revision(revision) = watched
                && let Some(table) = revision.inputs.tables.get("s")
                && let Table::Rows(rows) = &**table
                && rows.rows[0].text_at(1) == expected
                && revision.problems.is_empty()
            {
                return;
            }
        }
    }

    /// Waits for a problem with the file; the last good content must still be active.
    #[track_caller]
    fn reports(&self, expected: &str, still: &str) {
        loop {
            let watched = self.reported.recv_timeout(limit()).unwrap_or_else(|_| panic!("no {expected}"));
            let Watched::Revision(revision) = watched else { continue };
            let Some(problem) = revision.problems.get("in/s.csv").and_then(|problems| problems.first())
            else {
                continue;
            };
            assert!(problem.to_string().contains(expected), "{problem}");
            let Table::Rows(rows) = &*revision.inputs.tables["s"] else { panic!() };
            assert_eq!(rows.rows[0].text_at(1), still);
            return;
        }
    }
}

fn csv(value: &str) -> String {
    format!("k,v\n1,{value}\n")
}

#[test]
fn a_file_renamed_over_is_detected() {
    let watching = Watching::new();
    for value in ["second", "third", "fourth"] {
        write_atomically(&watching.file(), &csv(value));
        watching.sees(value);
    }
}

#[test]
fn a_file_written_in_place_is_read_once_its_writer_closes_it() {
    let watching = Watching::new();
    fs::write(watching.file(), csv("second")).unwrap();
    watching.sees("second");
}

#[test]
fn a_file_appended_to_in_pieces_is_read_whole() {
    let watching = Watching::new();
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(watching.file()).unwrap();
    for piece in ["k,v\n", "1,", "sec", "ond\n"] {
        file.write_all(piece.as_bytes()).unwrap();
        file.sync_all().unwrap();
    }
    drop(file);
    // The first reported content is complete; nothing partial was read.
    let first = watching.reported.recv_timeout(limit()).unwrap();
    let Watched::Revision(revision) = first else { panic!("expected a revision") };
    let Table::Rows(rows) = &*revision.inputs.tables["s"] else { panic!() };
    assert_eq!((rows.rows[0].text_at(1), revision.problems.len()), ("second", 0));
}

#[test]
fn vim_saves_are_detected() {
    let watching = Watching::new();
    let done = Command::new("vim")
        .args(["-es", "-u", "NONE", "-c", "%s/first/second/", "-c", "wq"])
        .arg(watching.file())
        .status();
    let done = done.expect("vim is needed for this test: install the package vim");
    assert!(done.success());
    watching.sees("second");
    let done = Command::new("vim")
        .args(["-es", "-u", "NONE", "-c", "set backup backupcopy=no", "-c", "%s/second/third/", "-c", "wq"])
        .arg(watching.file())
        .status();
    assert!(done.unwrap().success());
    watching.sees("third");
}

#[test]
fn a_recreated_file_is_detected_and_the_last_good_content_stays_until_then() {
    let watching = Watching::new();
    fs::remove_file(watching.file()).unwrap();
    watching.reports("the file is missing", "first");
    fs::write(watching.file(), csv("second")).unwrap();
    watching.sees("second");
}

#[test]
fn a_removed_and_recreated_directory_is_watched_again() {
    let watching = Watching::new();
    for value in ["second", "third"] {
        fs::remove_dir_all(watching.folder.path("in")).unwrap();
        watching.reports("the file is missing", if value == "second" { "first" } else { "second" });
        fs::create_dir(watching.folder.path("in")).unwrap();
        fs::write(watching.file(), csv(value)).unwrap();
        watching.sees(value);
    }
    write_atomically(&watching.file(), &csv("fourth"));
    watching.sees("fourth");
}

#[test]
fn a_directory_that_is_replaced_at_once_is_watched_again() {
    let watching = Watching::new();
    for round in 0..5 {
        let (put, later) = (format!("put-{round}"), format!("later-{round}"));
        fs::create_dir(watching.folder.path("new")).unwrap();
        fs::write(watching.folder.path("new/s.csv"), csv(&put)).unwrap();
        fs::rename(watching.folder.path("in"), watching.folder.path(&format!("old-{round}"))).unwrap();
        fs::rename(watching.folder.path("new"), watching.folder.path("in")).unwrap();
        watching.sees(&put);
        write_atomically(&watching.file(), &csv(&later));
        watching.sees(&later);
    }
}

/// Swaps `..data` as the kubelet does: files are links through it.
#[test]
fn a_config_map_swap_is_detected() {
    let swap = |folder: &Path, version: &str| {
        let inside = folder.join("in");
        fs::create_dir(inside.join(version)).unwrap();
        fs::write(inside.join(version).join("s.csv"), csv(version)).unwrap();
        symlink(version, inside.join("..data_tmp")).unwrap();
        fs::rename(inside.join("..data_tmp"), inside.join("..data")).unwrap();
    };
    let watching = Watching::start(HOUR, |folder| {
        swap(&folder.path(""), "..v1");
        symlink("..data/s.csv", folder.path("in/s.csv")).unwrap();
    });
    watching.sees("..v1");
    for version in ["..v2", "..v3"] {
        swap(&watching.folder.path(""), version);
        watching.sees(version);
    }
}

#[test]
fn the_restat_detects_changes_without_an_event() {
    // The file is a link into an unwatched directory two links away.
    let watching = Watching::start(Duration::from_millis(50), |folder| {
        for name in ["a", "b"] {
            fs::create_dir(folder.path(name)).unwrap();
            fs::write(folder.path(name).join("s.csv"), csv(name)).unwrap();
        }
        fs::create_dir(folder.path("links")).unwrap();
        symlink(folder.path("a"), folder.path("links/current")).unwrap();
        symlink(folder.path("links/current/s.csv"), folder.path("in/s.csv")).unwrap();
    });
    watching.sees("a");
    symlink(watching.folder.path("b"), watching.folder.path("links/new")).unwrap();
    fs::rename(watching.folder.path("links/new"), watching.folder.path("links/current")).unwrap();
    watching.sees("b");
}

#[test]
fn unchanged_content_is_not_reported_again_and_reading_causes_no_events() {
    let watching = Watching::new();
    fs::write(watching.file(), csv("first")).unwrap();
    write_atomically(&watching.file(), &csv("first"));
    drop(fs::read(watching.file()).unwrap());
    // The next report is the next change.
    write_atomically(&watching.file(), &csv("second"));
    let first = watching.reported.recv_timeout(limit()).unwrap();
    let Watched::Revision(revision) = first else { panic!("expected a revision") };
    let Table::Rows(rows) = &*revision.inputs.tables["s"] else { panic!() };
    assert_eq!(rows.rows[0].text_at(1), "second");
}

#[test]
fn an_empty_truncated_or_foreign_file_keeps_the_last_good_content() {
    let watching = Watching::new();
    for (content, expected) in [
        (&b""[..], "the file is empty"),
        (b"k,v\n", "a header and no rows"),
        (b"k,v\n1,\"cut of", "never closed"),
        (b"k,v\n1,caf\xE9\n", "not UTF-8"),
        (b"k,v\n1,x\0\0\0\0", "a NUL byte"),
    ] {
        fs::write(watching.file(), content).unwrap();
        watching.reports(expected, "first");
    }
    fs::write(watching.file(), csv("second")).unwrap();
    watching.sees("second");
}

#[test]
fn a_changed_key_file_is_reported() {
    let watching = Watching::new();
    watching.folder.write("key", "another-key");
    loop {
        let reported = watching.reported.recv_timeout(limit()).expect("the key file is watched");
        if matches!(reported, Watched::Key) {
            return;
        }
    }
}

#[test]
fn a_path_that_is_not_a_regular_file_is_refused_without_waiting_for_a_writer() {
    let watching = Watching::new();
    fs::remove_file(watching.file()).unwrap();
    watching.reports("the file is missing", "first");
    assert!(Command::new("mkfifo").arg(watching.file()).status().unwrap().success());
    watching.reports("this is not a regular file", "first");
}

/// A truncated table may still be valid and hold other values.
#[test]
fn a_table_truncated_at_any_byte_is_never_taken_as_complete() {
    let whole = "k,v\n1,+44 113 496 0119\n";
    for length in 1..whole.len() {
        let watching = Watching::start(HOUR, |folder| fs::write(folder.path("in/s.csv"), whole).unwrap());
        watching.sees("+44 113 496 0119");
        write_atomically(&watching.file(), &whole[..length]);
        loop {
            let reported = watching.reported.recv_timeout(limit());
            let Ok(Watched::Revision(revision)) = reported else {
                panic!("{length}: no revision was reported")
            };
            let Table::Rows(rows) = &*revision.inputs.tables["s"] else { panic!() };
            // A file with only its header is valid; the lost row is found when revisions are compared.
            let cells: Vec<&str> = rows.rows.iter().map(|row| row.text_at(1)).collect();
            assert!(cells.is_empty() || cells == ["+44 113 496 0119"], "{length}: {cells:?}");
            if !revision.problems.is_empty() || cells.is_empty() {
                break;
            }
        }
    }
}

/// A writer may pause for any time while it has the file open.
#[test]
fn a_file_open_for_writing_is_not_read_however_long_it_is_quiet() {
    let watching = Watching::start(Duration::from_millis(300), |folder| {
        fs::write(folder.path("in/s.csv"), csv("first")).unwrap();
    });
    watching.sees("first");
    // Overwrites the beginning in place, so that the old end still fits.
    let script =
        "exec 3<>\"$0\"; printf 'k,v\\n1,mixed\\n' >&3; echo; read line; printf 'k,v\\n1,whole\\n' > \"$0\"";
    let mut writer = Command::new("sh")
        .args(["-c", script])
        .arg(watching.file())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(writer.stdout.take().unwrap()), &mut line)
        .unwrap();
    // Longer than the time after which a file counts as quiet.
    assert!(watching.reported.recv_timeout(Duration::from_secs(4)).is_err(), "an unfinished file was read");
    drop(writer.stdin.take());
    writer.wait().unwrap();
    watching.sees("whole");
}

/// A failed read is retried even if nothing about the file has changed.
#[test]
fn a_file_that_could_not_be_read_is_retried() {
    let watching = Watching::new();
    // Root can read every file, so a pipe represents an unreadable one.
    let pipe = watching.folder.path("in/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::copy(watching.file(), watching.folder.path("in/aside.csv")).unwrap();
    fs::rename(&pipe, watching.file()).unwrap();
    watching.reports("this is not a regular file", "first");
    fs::rename(watching.folder.path("in/aside.csv"), watching.file()).unwrap();
    watching.sees("first");
}

/// A reader that can fail on request and counts its calls.
#[derive(Debug, Default, Clone)]
struct Counting {
    asked: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
    disk: Arc<Disk>,
}

impl ReadFiles for Counting {
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unread> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(Unread { why: "too many open files".to_owned(), may_pass: true }),
            false => self.disk.read(path, most),
        }
    }

    fn quiet_stamp(&self, path: &Path) -> Option<Stamp> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.disk.quiet_stamp(path)
    }

    fn writer(&self, path: &Path) -> Option<String> {
        self.disk.writer(path)
    }

    fn uptime(&self) -> Duration {
        self.disk.uptime()
    }
}

fn counting() -> (Watching, Counting) {
    let reader = Counting::default();
    let given = reader.clone();
    let watching = Watching::reading(HOUR, Box::new(given), |folder| {
        fs::write(folder.path("in/s.csv"), csv("first")).unwrap();
    });
    watching.sees("first");
    (watching, reader)
}

/// The stamp of a file is stored only after a successful read.
#[test]
fn a_read_that_failed_for_lack_of_descriptors_is_retried_without_an_event() {
    let (watching, reader) = counting();
    reader.broken.store(true, Ordering::SeqCst);
    write_atomically(&watching.file(), &csv("second"));
    watching.reports("too many open files", "first");
    // Long enough for the stamp to be reliable.
    std::thread::sleep(Duration::from_secs(3));
    reader.broken.store(false, Ordering::SeqCst);
    watching.sees("second");
}

#[test]
fn unrelated_files_in_the_directory_cause_no_reads() {
    let (watching, reader) = counting();
    let before = reader.asked.load(Ordering::SeqCst);
    for number in 0..2_000 {
        fs::write(watching.folder.path(&format!("in/other-{number}")), "x").unwrap();
    }
    write_atomically(&watching.file(), &csv("second"));
    watching.sees("second");
    let looks = reader.asked.load(Ordering::SeqCst) - before;
    assert!(looks < 10, "looked {looks} times");
}
