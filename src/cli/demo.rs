//! `rtconfd demo`: simulator and daemon on sample data, with a fast clock.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use clap::Args;
use serde_json::{Map, Value};
use tokio::net::TcpListener;

use crate::clock::{Clock, FastClock};
use crate::compile::World;
use crate::limits::time::MAX_SPEED;
use crate::model::{Instant, shorten};
use crate::settings::{Flag, Settings};
use crate::simulator::{Logged, Options, Simulator};
use crate::sources::Files;

use super::global::{Exit, FAILED, Global, parse_instant};
use super::{daemon, load, log, output};

const KEY: &str = "demo-key";
/// The usual address of the status page.
const STATUS_PAGE: &str = "127.0.0.1:9464";
/// The file of the store, in the temporary directory.
const STORE: &str = "demo.sqlite";
/// Time before the first change.
const LEAD: Duration = Duration::from_secs(6);

/// The sample data, for a demo outside the project's folder.
const FILES: [(&str, &str); 5] = [
    ("rtconfd.toml", include_str!("../../config/demo/rtconfd.toml")),
    ("sites.csv", include_str!("../../config/demo/sites.csv")),
    ("holidays.ics", include_str!("../../config/demo/holidays.ics")),
    ("messages.json", include_str!("../../config/demo/messages.json")),
    ("page-schema.json", include_str!("../../config/demo/page-schema.json")),
];

#[derive(Args)]
pub struct Arguments {
    /// Seconds of the demo's clock in each real second; with 3600 an hour passes each second
    #[arg(
        long, default_value_t = 600, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_SPEED))
    )]
    speed: u32,
    /// The instant at which the demo starts [default: shortly before the next opening or closing]
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    at: Option<Instant>,
    /// Address of the simulator; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:4010", value_name = "ADDR")]
    listen: SocketAddr,
}

pub async fn run(global: &Global, arguments: Arguments) -> anyhow::Result<Exit> {
    let listener = listen(arguments.listen).await?;
    let address = listener.local_addr()?;
    let temporary = temporary_directory()?;
    let folder = sample_data(&temporary)?;
    let page = StatusPage::new(&temporary)?;
    let global = demo_global(global, &folder, address, &temporary, &page);
    let settings = match Settings::load(&global.config(), &global.surroundings()) {
        Ok(settings) => settings,
        Err(report) => {
            output::show_report(&report);
            return Ok(FAILED);
        }
    };
    output::start_log(settings.log);
    let clock: Arc<dyn Clock> = Arc::new(FastClock::new(start(&settings, &arguments), arguments.speed));
    log::follow(clock.clone());
    let simulator = Simulator::new(Options {
        api_key: KEY.to_owned(),
        agents: Vec::new(),
        state_file: None,
        clock: clock.clone(),
    })?;
    put_schemas(&simulator, &settings, &folder, clock.now())?;
    print_introduction(&folder, address, &arguments, clock.now());
    page.print(&temporary.join(STORE));
    // It serves until the daemon has ended.
    tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
    let store = load::open_store(&settings, false)?;
    let ended = tokio::select! {
        ended = daemon::run(&global, settings, clock, Some(store)) => ended,
        () = print_patches(simulator) => Ok(FAILED),
    };
    // Leftovers in the temporary directory do no harm.
    let _ = std::fs::remove_dir_all(&temporary);
    ended
}

/// The demo's status page.
struct StatusPage {
    address: SocketAddr,
    /// The token to sign in with.
    token: String,
    token_file: PathBuf,
}

impl StatusPage {
    /// Chooses a free port, if possible the usual one, and a token.
    fn new(temporary: &Path) -> anyhow::Result<Self> {
        let bound =
            std::net::TcpListener::bind(STATUS_PAGE).or_else(|_| std::net::TcpListener::bind("127.0.0.1:0"));
        let address = bound.and_then(|bound| bound.local_addr()).context("cannot listen on this machine")?;
        let (token, token_file) = (format!("demo-{:08x}", fastrand::u32(..)), temporary.join("token"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&token_file)?;
        file.write_all(token.as_bytes())?;
        Ok(Self { address, token, token_file })
    }

    fn print(&self, store: &Path) {
        output::print(&format!(
            "  status    http://{}/    sign in with {}
  commands  in another terminal, with --set store.path={}

",
            self.address,
            self.token,
            store.display()
        ));
    }
}

/// Binds the requested port, or any free one when it is taken.
async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::new(address.ip(), 0))
            .await
            .with_context(|| format!("cannot listen on {address}")),
    }
}

fn temporary_directory() -> anyhow::Result<PathBuf> {
    // A new directory with an unpredictable name: an existing one may be a trap set by another
    // user.
    let path = std::env::temp_dir().join(format!("rtconfd-demo-{:016x}", fastrand::u64(..)));
    let made = DirBuilder::new().mode(0o700).create(&path);
    made.with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Returns the project's own folder, where a user can edit it; elsewhere a copy.
fn sample_data(temporary: &Path) -> anyhow::Result<PathBuf> {
    let here = PathBuf::from("config/demo");
    if here.join("rtconfd.toml").exists() {
        return Ok(here);
    }
    for (name, content) in FILES {
        std::fs::write(temporary.join(name), content)?;
    }
    Ok(temporary.to_owned())
}

/// Returns the global arguments for the demo's settings, with its own API, key and store.
fn demo_global(
    global: &Global,
    folder: &Path,
    address: SocketAddr,
    temporary: &Path,
    page: &StatusPage,
) -> Global {
    let mut demo = global.clone();
    let flag = |path: &str, value: String| Flag { path: path.to_owned(), value };
    demo.config = Some(folder.join("rtconfd.toml"));
    demo.flags.push(flag("api.base_url", format!("http://{address}")));
    demo.flags.push(flag("store.path", temporary.join(STORE).display().to_string()));
    demo.flags.push(flag("listen.address", page.address.to_string()));
    demo.flags.push(flag("listen.token_file", page.token_file.display().to_string()));
    if !demo.flags.iter().any(|flag| flag.path == "log.level") {
        demo.flags.push(flag("log.level", "warn".to_owned()));
    }
    demo.environment.retain(|(name, _)| !name.starts_with("RTCONFD_") && name != "CREDENTIALS_DIRECTORY");
    demo.environment.push(("RTCONFD_API_KEY".to_owned(), KEY.to_owned()));
    demo
}

/// Returns a start shortly before the next opening or closing, so that something happens soon.
fn start(settings: &Settings, arguments: &Arguments) -> Instant {
    let now = load::now();
    if let Some(at) = arguments.at {
        return at;
    }
    let mut files = Files::new(settings);
    files.settle();
    let world = World::new(&settings.blueprint, &files.revision().inputs, now, None);
    let variable = "is_open".parse().ok();
    let transitions = world.pages.iter().filter_map(|managed| {
        let owned = managed.page.owned(variable.as_ref()?)?;
        owned
            .definition
            .next_transition(now, now.checked_add_signed(TimeDelta::days(8))?)
            .map(|transition| transition.at)
    });
    let lead = TimeDelta::from_std(LEAD * arguments.speed).unwrap_or_default();
    transitions.min().and_then(|transition| transition.checked_sub_signed(lead)).unwrap_or(now)
}

fn put_schemas(simulator: &Simulator, settings: &Settings, folder: &Path, at: Instant) -> anyhow::Result<()> {
    let path = folder.join("page-schema.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let schema: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not valid JSON", path.display()))?;
    let mut files = Files::new(settings);
    files.settle();
    let world = World::new(&settings.blueprint, &files.revision().inputs, at, None);
    for managed in &world.pages {
        let id = &managed.page.id;
        let put = simulator.with_pages(|pages| pages.put_schema(&id.agent, id.environment, &schema, at));
        anyhow::ensure!(put.is_ok(), "{} is not a valid schema", path.display());
    }
    Ok(())
}

fn print_introduction(folder: &Path, address: SocketAddr, arguments: &Arguments, start: Instant) {
    let (folder, speed) = (folder.display(), arguments.speed);
    let next = match arguments.at {
        Some(_) => String::new(),
        None => format!(" A site opens or closes about {} seconds later.", LEAD.as_secs()),
    };
    output::print(&format!(
        "rtconfd demo: three sites, three time zones, one config page each.

  settings  {folder}/rtconfd.toml
  hours     {folder}/sites.csv        edit it while this runs: changes apply at once
  holidays  {folder}/holidays.ics
  messages  {folder}/messages.json
  pages     http://{address}/    as an agent reads them; change a value there: it is restored

The demo's clock starts at {} and runs {speed} times as fast (--speed N).
Every line below is one PATCH. The first fill the pages.{next} Ctrl-C ends.

",
        start.format("%Y-%m-%d %H:%M:%SZ")
    ));
}

/// Prints every PATCH as it arrives, as long as somebody reads it.
async fn print_patches(simulator: Simulator) {
    let mut reported = 0;
    while !output::has_failed() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let log = simulator.log();
        for request in log.iter().skip(reported).filter(|request| request.method == "PATCH") {
            output::print(&report(request));
        }
        reported = log.len();
    }
}

fn report(request: &Logged) -> String {
    let agent = request.path.split('/').nth(3).unwrap_or_default();
    let none = Map::new();
    let variables = request.body.as_ref().and_then(|body| body.get("variables")).and_then(Value::as_object);
    let values: Vec<String> = variables
        .unwrap_or(&none)
        .iter()
        .map(|(key, value)| format!("{key} = {}", shorten(value, 60)))
        .collect();
    let state = match variables.and_then(|variables| variables.get("is_open")) {
        Some(Value::Bool(true)) => "opens",
        Some(Value::Bool(false)) => "closed",
        _ => "",
    };
    format!("{}  {agent:<15} {state:<7} {}\n", request.at.format("%a %Y-%m-%d %H:%M:%SZ"), values.join(", "))
}
