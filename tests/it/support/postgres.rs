//! A real PostgreSQL server on a Unix socket, one for all tests of a process or one of its own.
//!
//! The unit tests of the store include this file too.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time within which a server of a busy machine starts.
const START: Duration = Duration::from_secs(60);

/// A running server; it ends with the value, or with this process.
pub struct Server {
    folder: TempDir,
    databases: AtomicU32,
    keeper: Mutex<Child>,
}

impl Server {
    /// Returns the server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let mut init = as_postgres("initdb");
        init.args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "-D"]).arg(&data);
        let made = init.output().unwrap();
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        Self::of(folder)
    }

    /// Starts the server of a folder.
    pub fn of(folder: TempDir) -> Self {
        let keeper = Self::run(folder.path(), &[]);
        let server = Self { folder, databases: AtomicU32::new(0), keeper: Mutex::new(keeper) };
        server.wait();
        server
    }

    /// Starts the server in a folder, under a shell that ends it once its input is closed.
    fn run(folder: &Path, environment: &[(String, String)]) -> Child {
        let script = "\"$0\" -D \"$1/data\" -k \"$1\" -c listen_addresses= -c fsync=off -c max_connections=200 \
            >> \"$1/log\" 2>&1 & read -r signal; kill -\"${signal:-KILL}\" $!; wait";
        let mut keeper = as_postgres("sh");
        keeper.envs(environment.iter().map(|(name, value)| (name, value)));
        keeper.args(["-c", script]).arg(program("postgres")).arg(folder);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).spawn().unwrap()
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.try_sql("postgres", "SELECT 1").0 {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < START, "PostgreSQL does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server with a signal, as `kill` names it.
    pub fn stop(&self, signal: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.stdin.take().unwrap(), "{signal}").unwrap();
        keeper.wait().unwrap();
    }

    /// Starts a server that was stopped.
    pub fn start_again(&self) {
        self.start_again_with(&[]);
    }

    /// Starts a stopped server again, with these environment variables.
    pub fn start_again_with(&self, environment: &[(String, String)]) {
        *self.keeper.lock().unwrap() = Self::run(self.folder.path(), environment);
        self.wait();
    }

    /// Returns the folder of its socket. The unit tests do not need it.
    #[allow(dead_code)]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates an empty database and returns its name.
    pub fn create(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{database}")
    }

    /// Runs statements in a database and returns their output, a line for each row.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let (is_good, output) = self.try_sql(database, sql);
        assert!(is_good, "{sql}: {output}");
        output.trim().to_owned()
    }

    fn try_sql(&self, database: &str, sql: &str) -> (bool, String) {
        let mut psql = Command::new(program("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-h"]);
        let output = psql.arg(self.folder.path()).args(["-c", sql]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap();
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

/// Returns a command of the user `postgres`: the server refuses to run as root.
pub fn as_postgres(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir("/");
    if Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n") {
        let id = |flag: &str| {
            let found = Command::new("id").args([flag, "postgres"]).output().unwrap();
            String::from_utf8_lossy(&found.stdout).trim().parse::<u32>().unwrap()
        };
        command.uid(id("-u")).gid(id("-g"));
    }
    command
}

/// Returns the path of a program of PostgreSQL.
fn program(name: &str) -> PathBuf {
    if name == "sh" {
        return "sh".into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!("this test needs PostgreSQL\n  hint: run apt-get install postgresql, as .ci/run does")
    })
}
