//! Helpers shared by the tests: a folder with settings and inputs, a simulator, processes.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use rtconfd::agents_api::{Client, KeySource, Timeouts};
use rtconfd::clock::{Clock, WallClock};
use rtconfd::model::{Environment, Instant};
use rtconfd::settings::{Settings, Surroundings};
use rtconfd::simulator::{Logged, Options, Simulator};
use rtconfd::store::{self, Location, Reading, Store, StoreError};
use serde_json::Value;
use tokio::net::TcpListener;

mod driving;
pub mod postgres;

pub use driving::Driving;

pub const KEY: &str = "k-3f9a-very-secret-key";
/// Returns the timeout of waits.
///
/// It is long, since machines may be busy, and short where tests are expected to fail.
pub fn limit() -> Duration {
    let secs = std::env::var("RTCONFD_TEST_LIMIT_SECS").ok().and_then(|secs| secs.parse().ok());
    Duration::from_secs(secs.unwrap_or(60))
}

pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

/// Prints a figure even if the test passes, since captured output shows only on failure.
pub fn report(figure: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{figure}\n").as_bytes());
}

/// Waits until a condition holds; on a timeout the panic names `what`.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Monotonic::now();
    while !holds() {
        assert!(start.elapsed() < limit(), "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A folder with settings, a key and inputs.
pub struct Folder {
    directory: tempfile::TempDir,
    /// The folder of logs, kept apart since each line would be an event in a watched folder.
    logs: tempfile::TempDir,
}

impl Folder {
    /// Creates a folder; `rest` of the settings follows the API, key and store.
    pub fn new(base_url: &str, rest: &str) -> Self {
        let folder = Self { directory: tempfile::tempdir().unwrap(), logs: tempfile::tempdir().unwrap() };
        folder.private("key", KEY);
        folder.settings(base_url, rest);
        folder
    }

    pub fn settings(&self, base_url: &str, rest: &str) {
        let top = format!(
            "[api]\nbase_url = \"{base_url}\"\nkey_file = \"key\"\ntotal_timeout = \"2s\"\n[store]\npath = \"state.sqlite\"\n"
        );
        self.write("rtconfd.toml", &format!("{top}{rest}"));
    }

    /// Returns a client configured by the settings.
    pub fn client(&self) -> Client {
        let settings = self.load();
        let key = KeySource::File(self.path("key")).load().unwrap();
        let second = Duration::from_secs(1);
        let timeouts = Timeouts { connect: second, read: second, total: settings.api.total_timeout };
        Client::new(&settings.api.base_url, key, timeouts).unwrap()
    }

    /// Disables request timeouts, so that a test may let requests hang.
    pub fn be_patient(&self) {
        let settings = std::fs::read_to_string(self.path("rtconfd.toml")).unwrap();
        let patient = "total_timeout = \"50s\"\nread_timeout = \"50s\"";
        self.write("rtconfd.toml", &settings.replace("total_timeout = \"2s\"", patient));
    }

    /// Disables the rate limit, which would block forever on a stopped clock.
    pub fn without_rate(&self) {
        let settings = std::fs::read_to_string(self.path("rtconfd.toml")).unwrap();
        self.write("rtconfd.toml", &settings.replace("[api]\n", "[api]\nrate = 100000\nburst = 100000\n"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the path for the standard error of background processes.
    pub fn log(&self) -> PathBuf {
        self.logs.path().join("log.txt")
    }

    /// Writes a temporary file and renames it, as a careful program does.
    pub fn write(&self, name: &str, content: &str) {
        let beside = self.path(&format!(".{name}.new"));
        std::fs::write(&beside, content).unwrap();
        std::fs::rename(beside, self.path(name)).unwrap();
    }

    /// Writes a file that only its owner can read.
    pub fn private(&self, name: &str, content: &str) {
        self.write(name, content);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn load(&self) -> Settings {
        let loaded = Settings::load(&self.path("rtconfd.toml"), &Surroundings::default());
        loaded.unwrap_or_else(|report| panic!("{}", report.render(false)))
    }

    pub fn store(&self) -> Box<dyn Location> {
        store::at(Some(&self.path("state.sqlite")))
    }

    /// Opens the store once its lock is free.
    ///
    /// A child that another test forks holds inherited locks until it executes its program.
    async fn free_store(&self) -> Arc<dyn Store> {
        let mut opened = None;
        until("the store is free", || {
            opened = match self.store().open(Some(&self.load().owner())) {
                Err(StoreError::InUse { .. }) => None,
                opened => Some(opened.unwrap()),
            };
            opened.is_some()
        })
        .await;
        opened.unwrap()
    }

    /// Opens the store for reading, if there is one.
    pub fn reading(&self) -> Option<Box<dyn Reading>> {
        let settings = Settings::load(&self.path("rtconfd.toml"), &Surroundings::default());
        let owner = settings.ok().map(|settings| settings.owner());
        self.store().read(owner.as_ref()).ok().flatten()
    }

    pub fn stored(&self) -> Box<dyn Reading> {
        self.reading().unwrap()
    }

    /// Returns a command in this folder that inherits only the search path.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtconfd"));
        command.args(arguments).current_dir(self.directory.path()).env_clear().env("USER", "tester");
        // Shared, so that daemons of several folders see each other.
        command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
        // The fault that .ci/mutations switches on; with the prefix RTCONFD_ it would be a setting.
        command.envs(std::env::var_os("MUTATION_OF_RTCONFD").map(|name| ("MUTATION_OF_RTCONFD", name)));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().unwrap())
    }

    /// Starts a background process with its standard error in a file.
    pub fn spawn(&self, arguments: &[&str]) -> Process {
        self.spawn_command(self.command(arguments), "log.txt")
    }

    /// Starts a command in the background with its standard error in a file of this name.
    pub fn spawn_command(&self, mut command: Command, log: &str) -> Process {
        let log = self.logs.path().join(log);
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(file)).spawn().unwrap();
        Process { child, log }
    }

    /// Returns everything the program may have written: the store, its log and other files.
    pub fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let entries =
            [&self.directory, &self.logs].map(|directory| std::fs::read_dir(directory.path()).unwrap());
        for entry in entries.into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let mut content = Vec::new();
                std::fs::File::open(&path).unwrap().read_to_end(&mut content).unwrap();
                found.push((path, content));
            }
        }
        found
    }
}

/// The result of a finished command.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns the printed JSON objects, one per line.
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "standard output:\n{}\nstandard error:\n{}", self.out, self.err);
        self
    }
}

/// A running process, ended with the test.
pub struct Process {
    pub child: Child,
    log: PathBuf,
}

impl Process {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the port of its HTTP listener, once it serves.
    ///
    /// The settings name port 0: a free port that is chosen before may be another's by then.
    pub async fn port(&self) -> u16 {
        const SERVED: &str = "serving HTTP address=";
        until("it serves HTTP", || self.log().contains(SERVED)).await;
        let log = self.log();
        let (_, address) = log.rsplit_once(SERVED).unwrap();
        let (_, port) = address.lines().next().unwrap().rsplit_once(':').unwrap();
        port.parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    pub async fn ends(&mut self) -> i32 {
        let start = Monotonic::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < limit(), "the process does not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The log is gone with its folder, and a failed test needs it.
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(30);
            eprintln!("-- the last lines of process {}:\n{}", self.child.id(), lines[last..].join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A simulator on its own port.
pub struct Api {
    pub simulator: Simulator,
    pub url: String,
}

impl Api {
    pub fn start() -> Self {
        Self::with(Vec::new(), Arc::new(WallClock))
    }

    pub fn with(agents: Vec<String>, clock: Arc<dyn Clock>) -> Self {
        let options = Options { api_key: KEY.to_owned(), agents, state_file: None, clock };
        let simulator = Simulator::new(options).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = simulator.clone();
        // Runs on its own thread, since tests block theirs while they wait for a command.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                serving.serve(listener, std::future::pending()).await
            })
        });
        Self { simulator, url }
    }

    pub fn schema(&self, agent: &str, schema: &Value) {
        let now = WallClock.now();
        self.simulator
            .with_pages(|pages| pages.put_schema(agent, Environment::Live, schema, now).map(drop))
            .unwrap();
    }

    /// Changes values as a person does in the vendor's UI.
    pub fn edit(&self, agent: &str, variables: &Value) {
        let variables = variables.as_object().unwrap();
        let now = WallClock.now();
        self.simulator
            .with_pages(|pages| pages.patch(agent, Environment::Live, variables, now).map(drop))
            .unwrap();
    }

    /// Returns the variables of a live page.
    pub fn variables(&self, agent: &str) -> Value {
        self.simulator.with_pages(|pages| pages.page(agent, Environment::Live)["variables"].clone())
    }

    /// Returns the requests of a method, oldest first.
    pub fn requests(&self, method: &str) -> Vec<Logged> {
        self.simulator.log().into_iter().filter(|request| request.method == method).collect()
    }

    pub async fn until_variable(&self, agent: &str, variable: &str, expected: &Value) {
        until(&format!("{agent} has {variable} = {expected}"), || {
            self.variables(agent).get(variable) == Some(expected)
        })
        .await;
    }
}

/// Starts `run` and waits until commands can reach it.
pub async fn running(folder: &Folder) -> Process {
    let running = folder.spawn(&["run"]);
    until("the socket exists", || folder.path("state.sqlite.sock").exists()).await;
    running
}

/// Settings for one page that is open 09:00 to 17:00 in London.
pub fn desk(agent: &str) -> String {
    format!(
        r#"
[hours.desk]
timezone = "Europe/London"
weekly = "Mo-Fr 09:00-17:00"
[[page]]
agent = "{agent}"
environment = "live"
variables = {{ is_open = {{ hours = "desk", show = "is_open" }} }}
"#
    )
}

/// Settings for one page that is always open, so that the day of the test does not matter.
pub fn always(agent: &str) -> String {
    desk(agent).replace("Mo-Fr 09:00-17:00", "Mo-Su 00:00-24:00")
}

/// Settings under which every page may change at once.
pub const NO_HOLD: &str = "[hold]\npages_percent = 100\nrows_percent = 100\nclosed_percent = 100\n";

/// Sites in a table, one page each, with a phone number.
pub const SITES: &str = r#"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = "live"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" }, phone = { column = "phone" } }
"#;

/// Returns a table of sites that are all always open or always closed.
pub fn round_the_clock(count: usize, hours: &str) -> String {
    let rows = (0..count).map(|number| format!("s{number},A-{number},{hours},{number}\n"));
    format!("site,agent,hours,phone\n{}", rows.collect::<String>())
}

pub fn write_atomically(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, content).unwrap();
    std::fs::rename(beside, path).unwrap();
}
