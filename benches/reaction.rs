//! Reaction time of rtconfd, as ratios to a raw HTTP client and a plain loop, from one run: `cargo
//! bench`.
//!
//! Measured on 2 cores, with simulator and program on one machine and without a rate limit. Every
//! commit is synced to a disk that needs about a millisecond. Ratios and absolute figures are from
//! one run, and those of many pages from a later one; the absolute figures mean less:
//!
//! | what | ratio | in that run |
//! |---|---|---|
//! | file renamed into place -> PATCH received, whole process | p50 31x, p99 25x of one raw PATCH | p50 2.7 ms, p99 3.9 ms |
//! | the same, from the fetch of the page to the PATCH | p50 11x, p99 12x | p50 0.94 ms, p99 1.9 ms |
//! | transition on the wall clock -> PATCH received, whole process | p50 43x, p99 34x of one raw PATCH | p50 3.7 ms, p99 5.2 ms |
//! | the same, from the fetch to the PATCH: owned whole keys; below a shared key | -; p50 27x, p99 28x | 0.3 s; p50 2.4 ms, p99 4.3 ms |
//! | 1,000 transitions at one instant, to the last PATCH, answers after 10 ms | 1.17x the raw client, 32 at once; 1.16x to 1.22x in six runs; earlier 1.32x to 1.51x in six on another machine | 0.45 s |
//! | the same, immediate answers | 3.7x the raw client (27 ms), 32 at once; 2.3x to 3.9x in six runs | 0.10 s |
//! | the same, with a raw client that commits one row before each PATCH and its outcome after it | 1.8x; 1.6x to 2.1x in six runs; that client takes 1.9x the time of the raw one | 0.10 s |
//! | 1,000 pages change together, from the file to the last PATCH, immediate answers | 6.4x the raw client (24 ms), 32 at once; 5.0x to 7.5x in six runs | 0.15 s |
//! | evaluation of four variables of hours | 32x a plain loop without exceptions and clock changes | 10 µs |
//! | 900 weekly events expanded over two years | 9.3x a plain loop that adds weeks | 57 ms |
//!
//! A raw PATCH took 0.09 ms. Ours adds a synced commit before and after it, shared by the requests
//! in flight, and a fetch of the page. For a transition the fetch happens earlier if all owned
//! variables are whole keys. Edits of other clients to a sent key between fetch and PATCH are lost:
//! the API has no ETag. If the API answers immediately, both cores are busy: for 1,000 transitions
//! they spend 170 ms, of which the store takes 50, the driver and the requests 40 each, the API 25,
//! the log and the watch on the folder 15. `cargo bench --bench reaction -- many` measures only the
//! many pages.

#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant as Monotonic};

use chrono::{Datelike, Days, NaiveDate, TimeDelta, Timelike, Weekday};
use rtconfd::calendar::{Calendar, Window};
use rtconfd::clock::{Clock, WallClock};
use rtconfd::compile::World;
use rtconfd::model::Instant;
use rtconfd::simulator::{Fault, Kind, Logged};
use rtconfd::sources::Files;
use rtconfd::zone::Database;
use serde_json::{Value, json};
use tokio::sync::oneshot;

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a benchmark uses a part of it")]
mod support;

use support::{Api, Folder, KEY, NO_HOLD, SITES};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("cores: {}", std::thread::available_parallelism().unwrap());
    if std::env::args().any(|argument| argument == "many") {
        runtime.block_on(many_at_once(1000));
        return runtime.block_on(all_transitions_at_once());
    }
    let raw = runtime.block_on(raw_client());
    println!("raw HTTP client, one PATCH: {raw}");
    let reported = |what: &str, (late, race): (Samples, Samples)| {
        println!("{what} -> PATCH received: {late}; {} of one raw PATCH", late.ratio_to(&raw));
        println!(
            "{what}: fetch received -> PATCH received: {race}; {} of one raw PATCH",
            race.ratio_to(&raw)
        );
    };
    reported("file renamed into place", runtime.block_on(file_to_patch()));
    reported("transition", runtime.block_on(transition_to_patch("n", 60)));
    reported("transition, below a shared key", runtime.block_on(transition_to_patch("/shared/n", 60)));
    runtime.block_on(many_at_once(1000));
    runtime.block_on(all_transitions_at_once());
    evaluation();
    expansion();
}

/// Sorted samples.
struct Samples(Vec<Duration>);

impl Samples {
    fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        Self(samples)
    }

    fn at(&self, share: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }

    fn ratio_to(&self, other: &Samples) -> String {
        let ratio = |share: f64| self.at(share).as_secs_f64() / other.at(share).as_secs_f64();
        format!("p50 {:.1}x, p99 {:.1}x", ratio(0.5), ratio(0.99))
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:?}, p99 {:?} ({} samples)", self.at(0.5), self.at(0.99), self.0.len())
    }
}

async fn patch_raw(client: &reqwest::Client, url: &str, agent: &str, value: usize) {
    let reply = client
        .patch(format!("{url}/v1/agents/{agent}/real-time-configs/live/variables"))
        .header("x-api-key", KEY)
        .json(&json!({"variables": {"phone": value.to_string()}}))
        .send()
        .await
        .unwrap();
    assert!(reply.status().is_success());
    reply.bytes().await.unwrap();
}

async fn raw_client() -> Samples {
    let api = Api::start();
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
    let mut samples = Vec::new();
    for round in 0..1000 {
        let start = Monotonic::now();
        patch_raw(&client, &api.url, "A-1", round).await;
        samples.push(start.elapsed());
    }
    Samples::new(samples)
}

/// Returns the time from the last fetch of the page to each PATCH, as the API saw both.
///
/// Edits of other clients to the sent keys in between are lost.
fn windows(api: &Api) -> Samples {
    let log = api.simulator.log();
    let patches = log.iter().enumerate().filter(|(_, request)| request.method == "PATCH");
    let window = |(index, patch): (usize, &Logged)| {
        let look = log[..index].iter().rfind(|request| request.method == "GET").unwrap();
        (patch.at - look.at).to_std().unwrap()
    };
    Samples::new(patches.map(window).collect())
}

/// Measures the delay of each PATCH and the age of its fetch, with the program as a process.
///
/// The file is renamed into place, as a careful writer does.
async fn file_to_patch() -> (Samples, Samples) {
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    let csv = |phone: usize| format!("site,agent,hours,phone\na,A-1,daily 00:00-24:00,{phone}\n");
    folder.without_rate();
    folder.write("sites.csv", &csv(0));
    let _running = folder.spawn(&["run"]);
    api.until_variable("A-1", "phone", &json!("0")).await;
    let mut samples = Vec::new();
    for phone in 1..=300 {
        // A different interval each time, so that rounds do not align with a timer.
        tokio::time::sleep(Duration::from_millis(20 + phone as u64 % 7)).await;
        let start = WallClock.now();
        folder.write("sites.csv", &csv(phone));
        support::until("the PATCH is received", || api.requests("PATCH").len() == phone + 1).await;
        let received = api.requests("PATCH").last().unwrap().at;
        samples.push((received - start).to_std().unwrap());
    }
    (Samples::new(samples), windows(&api))
}

/// Measures the program as a process on the wall clock, with a transition every second.
async fn transition_to_patch(variable: &str, seconds: i64) -> (Samples, Samples) {
    let api = Api::start();
    api.edit("A-1", &json!({"shared": {"theirs": true}}));
    let first = WallClock.now() + TimeDelta::seconds(4);
    let text = |at: Instant| at.format("%Y-%m-%dT%H:%M:%S").to_string();
    let clauses: Vec<String> = (0..seconds)
        .map(|second| {
            let from = first + TimeDelta::seconds(second);
            format!(
                "{{ from = \"{}\", until = \"{}\", value = {second} }}",
                text(from),
                text(from + TimeDelta::seconds(1))
            )
        })
        .collect();
    let page = format!(
        "timezone = \"UTC\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nvariables = {{ \"{variable}\" = {{ when = [{}], otherwise = -1 }} }}\n",
        clauses.join(", ")
    );
    let folder = Folder::new(&api.url, "");
    let top = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write(
        "rtconfd.toml",
        &format!("timezone = \"UTC\"\n{top}{}", page.replace("timezone = \"UTC\"\n", "")),
    );
    let _running = folder.spawn(&["run"]);
    tokio::time::sleep(Duration::from_secs(5 + seconds.unsigned_abs())).await;
    let mut samples = Vec::new();
    for patch in api.requests("PATCH") {
        let variables = &patch.body.as_ref().unwrap()["variables"];
        let second = variables["n"].as_i64().or(variables["shared"]["n"].as_i64()).unwrap();
        if second >= 0 {
            let late = patch.at
                - (first - TimeDelta::nanoseconds(first.nanosecond().into()) + TimeDelta::seconds(second));
            samples.push(late.to_std().unwrap());
        }
    }
    assert_eq!(samples.len() as i64, seconds, "a transition was missed or applied twice");
    (Samples::new(samples), windows(&api))
}

/// Measures many pages that change at one instant, from the change to the last PATCH.
///
/// Compares with a raw client that sends the same PATCHes with equal concurrency.
async fn many_at_once(count: usize) {
    let rows = |phone: usize| -> String {
        let rows = (0..count).map(|row| format!("s{row},A-{row},daily 00:00-24:00,{phone}\n"));
        std::iter::once("site,agent,hours,phone\n".to_owned()).chain(rows).collect()
    };
    let api = Api::start();
    let folder = Folder::new(&api.url, SITES);
    folder.without_rate();
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &format!("{settings}{NO_HOLD}"));
    folder.write("sites.csv", &rows(0));
    let _running = folder.spawn(&["run"]);
    support::until("all pages are filled", || api.requests("PATCH").len() == count).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let start = WallClock.now();
    folder.write("sites.csv", &rows(1));
    let log = settled(&api, 2 * count).await;
    let ours = (log.last().unwrap().at - start).to_std().unwrap();

    let raw = raw_at_once(&api, count, folder.load().api.concurrency, None).await;
    println!(
        "{count} pages change at once: {ours:?}, raw client {raw:?}; {:.2}x (rtconfd also fetches each page and stores intent and outcome)",
        ours.as_secs_f64() / raw.as_secs_f64()
    );
}

/// Runs against an API that answers immediately, and one that takes ten milliseconds.
async fn all_transitions_at_once() {
    transitions_at_once(1000, None).await;
    transitions_at_once(1000, Some(10)).await;
}

/// Measures many pages, fetched beforehand, from their transition to the last PATCH.
async fn transitions_at_once(count: usize, milliseconds: Option<u64>) {
    let api = Api::start();
    if let Some(ms) = milliseconds {
        api.simulator.inject(Fault::new(Kind::Latency { ms }).method("PATCH"));
    }
    let transition = WallClock.now() + TimeDelta::seconds(8);
    let transition = transition - TimeDelta::nanoseconds(transition.nanosecond().into());
    let from = transition.format("%Y-%m-%dT%H:%M:%S");
    let variables =
        format!("variables = {{ n = {{ when = [{{ from = \"{from}\", value = 1 }}], otherwise = 0 }},");
    let folder = Folder::new(&api.url, "");
    let top = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    let pages = SITES.replace("variables = {", &variables);
    folder.write("rtconfd.toml", &format!("timezone = \"UTC\"\n{top}{pages}{NO_HOLD}"));
    folder.without_rate();
    let rows = (0..count).map(|row| format!("s{row},A-{row},daily 00:00-24:00,1\n"));
    let rows: String = std::iter::once("site,agent,hours,phone\n".to_owned()).chain(rows).collect();
    folder.write("sites.csv", &rows);
    let _running = folder.spawn(&["run"]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let log = settled(&api, 2 * count).await;
    let first = (log[count].at - transition).to_std().unwrap();
    let ours = (log.last().unwrap().at - transition).to_std().unwrap();
    let concurrency = folder.load().api.concurrency;
    let raw = raw_at_once(&api, count, concurrency, None).await;
    let history = History::new(&folder.path("history.sqlite"));
    let durable = raw_at_once(&api, count, concurrency, Some(&history)).await;
    let ratio = |other: Duration| ours.as_secs_f64() / other.as_secs_f64();
    println!(
        "{count} transitions at once, answers after {milliseconds:?} ms: first after {first:?}, last after {ours:?}; raw client {raw:?}, {:.2}x; the same with a history {durable:?}, {:.2}x",
        ratio(raw),
        ratio(durable)
    );
}

/// A history as plain as it can be: one row for each PATCH, durable before it is sent, and its outcome.
///
/// One thread commits all that waits, as the store does.
#[derive(Clone)]
struct History {
    steps: mpsc::Sender<Kept>,
}

/// A step, and the receiver of the number once it is durable.
type Kept = (Step, oneshot::Sender<i64>);

enum Step {
    /// Add a PATCH of an agent.
    Intend(String),
    /// Note that the PATCH with this number was applied.
    Settle(i64),
}

impl History {
    fn new(path: &Path) -> Self {
        let (steps, waiting) = mpsc::channel::<Kept>();
        let mut file = rusqlite::Connection::open(path).unwrap();
        file.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                CREATE TABLE writes (id INTEGER PRIMARY KEY, agent TEXT, value TEXT, outcome TEXT)",
        )
        .unwrap();
        std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let batch = std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok()));
                let transaction = file.transaction().unwrap();
                let prepared = |sql| transaction.prepare_cached(sql).unwrap();
                let run = |step| match step {
                    Step::Intend(agent) => prepared("INSERT INTO writes (agent, value) VALUES (?1, '2')")
                        .insert([agent])
                        .unwrap(),
                    Step::Settle(id) => {
                        prepared("UPDATE writes SET outcome = 'applied' WHERE id = ?1")
                            .execute([id])
                            .unwrap();
                        id
                    }
                };
                let done: Vec<_> = batch.map(|(step, done)| (run(step), done)).collect();
                transaction.commit().unwrap();
                done.into_iter().for_each(|(id, done)| done.send(id).unwrap());
            }
        });
        Self { steps }
    }

    /// Waits until a step is durable; returns the number of the PATCH.
    async fn keep(&self, step: Step) -> i64 {
        let (done, id) = oneshot::channel();
        self.steps.send((step, done)).unwrap();
        id.await.unwrap()
    }
}

/// Waits until `count` PATCHes arrived.
///
/// Polls rarely, since polling slows the program on two cores.
async fn settled(api: &Api, count: usize) -> Vec<Logged> {
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let log = api.requests("PATCH");
        if log.len() >= count {
            assert_eq!(log.len(), count, "something was sent twice");
            return log;
        }
    }
}

/// Sends the same PATCHes with a raw client and equal concurrency, with a history or without.
async fn raw_at_once(api: &Api, count: usize, concurrency: usize, history: Option<&History>) -> Duration {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap();
    let url = Arc::new(api.url.clone());
    let start = Monotonic::now();
    let mut jobs = tokio::task::JoinSet::new();
    for row in 0..count {
        if jobs.len() >= concurrency {
            jobs.join_next().await.unwrap().unwrap();
        }
        let (client, url) = (client.clone(), url.clone());
        let (history, agent) = (history.cloned(), format!("A-{row}"));
        jobs.spawn(async move {
            let Some(history) = history else { return patch_raw(&client, &url, &agent, 2).await };
            let id = history.keep(Step::Intend(agent.clone())).await;
            patch_raw(&client, &url, &agent, 2).await;
            history.keep(Step::Settle(id)).await;
        });
    }
    jobs.join_all().await;
    start.elapsed()
}

fn time<T>(rounds: u32, mut run: impl FnMut() -> T) -> Duration {
    let start = Monotonic::now();
    for _ in 0..rounds {
        black_box(run());
    }
    start.elapsed() / rounds
}

/// Measures one page with four variables of hours, against a loop without clock changes.
fn evaluation() {
    let folder = Folder::new(
        "http://127.0.0.1:9",
        "[hours.desk]\ntimezone = \"Europe/London\"\nweekly = \"Mo-Fr 09:00-12:30, 13:30-17:30; Sa 22:00-02:00\"\nspecial = { \"2026-12-24\" = \"09:00-13:00\" }\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = \"desk\"\nvariables = { a = { show = \"is_open\" }, b = { show = \"opens_at\" }, c = { show = \"next_change_at\" }, d = { show = \"today\" } }\n",
    );
    let settings = folder.load();
    let mut files = Files::new(&settings);
    files.settle();
    let now: Instant = "2026-11-26T12:00:00Z".parse().unwrap();
    let world = World::new(&settings.blueprint, &files.revision().inputs, now, None);
    let page = &world.pages[0].page;
    let ours = time(20_000, || page.desired(black_box(now)).unwrap());
    let weekly: [&[(u32, u32)]; 7] = {
        let day: &[(u32, u32)] = &[(540, 750), (810, 1050)];
        [day, day, day, day, day, &[(1320, 1440)], &[]]
    };
    let london = Database::embedded().zone("Europe/London").unwrap();
    let plain = time(20_000, || {
        let local = black_box(now).with_timezone(&london);
        let minute = local.hour() * 60 + local.minute();
        let day = weekly[local.weekday().num_days_from_monday() as usize];
        let open = day.iter().any(|(from, to)| (*from..*to).contains(&minute));
        let next = (minute..minute + 10_080).find(|minute| {
            let day = weekly[((local.weekday().num_days_from_monday() + minute / 1440) % 7) as usize];
            day.iter().any(|(from, to)| (*from..*to).contains(&(minute % 1440))) != open
        });
        (open, day.first().copied(), next, format!("{day:?}"))
    });
    println!(
        "evaluation of 4 variables: {ours:?}, plain loop {plain:?}; {:.1}x",
        ours.as_secs_f64() / plain.as_secs_f64()
    );
}

/// Measures 900 recurring events over two years, against a loop that adds weeks.
fn expansion() {
    let events: String = (0..900)
        .map(|event| {
            let day = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap() + Days::new(event % 365);
            format!(
                "BEGIN:VEVENT\r\nUID:{event}\r\nDTSTART;TZID=Europe/London:{}T090000\r\nDTEND;TZID=Europe/London:{}T100000\r\nRRULE:FREQ=WEEKLY\r\nSUMMARY:Event {event}\r\nEND:VEVENT\r\n",
                day.format("%Y%m%d"),
                day.format("%Y%m%d")
            )
        })
        .collect();
    let text = format!("BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n");
    let date = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    let window = Window { from: date(2026), to: date(2028) };
    let parsing =
        time(5, || Calendar::parse(&"c.ics".into(), text.as_bytes(), &Database::embedded()).unwrap());
    let calendar = Calendar::parse(&"c.ics".into(), text.as_bytes(), &Database::embedded()).unwrap();
    let ours = time(5, || calendar.occurrences(window).unwrap());
    let count = calendar.occurrences(window).unwrap().len();
    let plain = time(5, || {
        let mut found: Vec<(NaiveDate, Value)> = Vec::with_capacity(count);
        for event in 0..900 {
            let mut day = date(2020) + Days::new(event % 365);
            while day < window.to {
                if day >= window.from {
                    found.push((day, Value::String(format!("Event {event}"))));
                }
                day = day + Days::new(7);
            }
        }
        found
    });
    assert_eq!(date(2026).weekday(), Weekday::Thu);
    println!(
        "900 weekly events over two years ({count} occurrences): read {parsing:?}, expanded {ours:?}, plain loop {plain:?}; {:.1}x",
        ours.as_secs_f64() / plain.as_secs_f64()
    );
}
