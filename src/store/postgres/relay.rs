//! The thread that carries requests through the database, and shows that this replica lives.
//!
//! It looks at a table instead of waiting for notifications: a pool between the two may lose those.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{Clock, WallClock};
use crate::limits::replicas::{ANSWERS_POLL, HEARTBEAT, REQUEST_TIMEOUT, REQUESTS_POLL};
use crate::store::StoreError;
use crate::store::relay::{Command, Delivery, Ends, OwnFiles, Replica, Replicas, Request, Response};
use crate::store::sql::{Row, Session, params};

use super::address::Address;
use super::connection::Connection;
use super::lease;

/// The pause after a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// The state of the thread.
pub(super) struct Worker {
    address: Address,
    ends: Ends,
    /// The id of this replica in the database.
    id: String,
    connection: Option<Connection>,
    /// The requests without an answer, by number.
    waiting: HashMap<i64, Waiting>,
    /// True for a daemon, which gives signs of life; false for a command that only asks.
    is_replica: bool,
    /// The time of the last look at the replicas, since the machine started.
    alive: Option<Duration>,
}

struct Waiting {
    answer: oneshot::Sender<Delivery>,
    /// In time since the machine started.
    until: Duration,
}

impl Worker {
    pub(super) fn new(address: Address, ends: Ends, is_replica: bool) -> Self {
        let id = format!("{:016x}", fastrand::u64(..));
        Self { address, ends, id, connection: None, waiting: HashMap::new(), is_replica, alive: None }
    }

    /// Runs until the relay is dropped.
    pub(super) fn run(mut self) {
        loop {
            let is_active = self.ends.is_active.load(Ordering::Relaxed);
            let pause = match (self.waiting.is_empty(), is_active) {
                (false, _) => ANSWERS_POLL,
                (true, true) => REQUESTS_POLL,
                (true, false) => HEARTBEAT,
            };
            let command = match self.alive {
                // The first turn connects.
                None if self.is_replica => self.ends.commands.try_recv().ok(),
                _ => match self.ends.commands.recv_timeout(pause) {
                    Ok(command) => Some(command),
                    Err(RecvTimeoutError::Timeout) if self.ends.replicas.is_closed() => return,
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            if let Err(error) = self.turn(command, is_active) {
                self.fail(&error);
            }
        }
    }

    /// Gives up all requests after a failure of the database.
    fn fail(&mut self, error: &StoreError) {
        self.connection = None;
        let failure = Some(error.to_string());
        self.ends.replicas.send_modify(|replicas| replicas.failure = failure);
        // A request may have been taken, and its answer cannot be read.
        self.waiting.drain().for_each(|(_, waiting)| drop(waiting.answer.send(Delivery::Unanswered)));
        while let Ok(command) = self.ends.commands.try_recv() {
            if let Command::Ask(_, answer, _) = command {
                drop(answer.send(Delivery::NotTaken));
            }
        }
        std::thread::sleep(PAUSE);
        self.alive = self.alive.or(Some(Duration::ZERO));
    }

    fn turn(&mut self, command: Option<Command>, is_active: bool) -> Result<(), StoreError> {
        let mut command = command;
        // A request that is sent on a broken connection may have arrived; so it is tried before.
        let is_asked = matches!(command, Some(Command::Ask(..)));
        let known = self.connection.take().map(|mut known| (!is_asked || known.batch("").is_ok(), known));
        let mut connection = match known.filter(|(is_alive, _)| *is_alive).map(|(_, known)| known) {
            Some(connection) => connection,
            None => match (Connection::open(&self.address), command) {
                (Ok(opened), taken) => {
                    command = taken;
                    opened
                }
                (Err(error), Some(Command::Ask(_, answer, _))) => {
                    drop(answer.send(Delivery::NotTaken));
                    return Err(error);
                }
                (Err(error), _) => return Err(error),
            },
        };
        let session: &mut dyn Session = &mut connection;
        match command {
            // Who asked has gone, or waited long enough for this thread.
            Some(Command::Ask(_, answer, until)) if answer.is_closed() || WallClock.uptime() >= until => {
                drop(answer.send(Delivery::NotTaken));
            }
            Some(Command::Ask(request, answer, until)) => {
                let id = ask(session, &self.id, &request)?;
                self.waiting.insert(id, Waiting { answer, until });
            }
            Some(Command::Leave(done)) => {
                session.execute("DELETE FROM rtconfd.replicas WHERE id = ?1", params![self.id])?;
                self.is_replica = false;
                let _ = done.send(());
            }
            Some(Command::Answer(id, response)) => answer(session, id, &response)?,
            None => {}
        }
        self.collect(session)?;
        if is_active {
            for (id, request) in take(session)? {
                if !self.ends.take(id, request) {
                    answer(session, id, &busy())?;
                }
            }
        }
        let now = WallClock.uptime();
        if self.alive.is_none_or(|alive| now.saturating_sub(alive) >= HEARTBEAT) {
            self.alive = Some(now);
            if self.is_replica {
                let files = self.ends.files.borrow().clone();
                sign(session, &self.id, files.as_ref())?;
            }
            let all = live(session)?;
            self.ends.replicas.send_replace(Replicas { all, failure: None });
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Passes on the answers that have come, and gives up requests that no replica took.
    fn collect(&mut self, session: &mut dyn Session) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let answered = "DELETE FROM rtconfd.requests WHERE asked_by = ?1 AND status IS NOT NULL
            RETURNING id, status, kind, location, answer";
        let answers = session.rows(answered, params![self.id], |row| Ok((row.get(0)?, response(row)?)))?;
        for (id, response) in answers {
            if let Some(waiting) = self.waiting.remove::<i64>(&id) {
                drop(waiting.answer.send(Delivery::Answered(response)));
            }
        }
        let now = WallClock.uptime();
        let late: Vec<i64> =
            self.waiting.iter().filter(|(_, waiting)| waiting.until <= now).map(|(id, _)| *id).collect();
        for id in late {
            let withdraw = "DELETE FROM rtconfd.requests WHERE id = ?1 AND taken = 0";
            let is_withdrawn = session.execute(withdraw, params![id])? > 0;
            if let Some(waiting) = self.waiting.remove(&id) {
                drop(waiting.answer.send(if is_withdrawn {
                    Delivery::NotTaken
                } else {
                    Delivery::Unanswered
                }));
            }
        }
        Ok(())
    }
}

fn ask(session: &mut dyn Session, asked_by: &str, request: &Request) -> Result<i64, StoreError> {
    let sql = "INSERT INTO rtconfd.requests (asked_by, visitor, method, path, body)
        VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id";
    let Request { visitor, method, path, body } = request;
    session.insert(sql, params![asked_by, visitor, method, path, body])
}

/// Takes the requests that wait, the oldest first.
///
/// One that is older than its time limit was given up.
fn take(session: &mut dyn Session) -> Result<Vec<(i64, Request)>, StoreError> {
    let sql = "UPDATE rtconfd.requests SET taken = 1 WHERE taken = 0
        AND at > clock_timestamp() - CAST(?1 AS BIGINT) * INTERVAL '1 second'
        RETURNING id, visitor, method, path, body";
    let limit = i64::try_from(REQUEST_TIMEOUT.as_secs()).unwrap_or(i64::MAX);
    let mut taken = session.rows(sql, params![limit], |row| {
        let request =
            Request { visitor: row.get(1)?, method: row.get(2)?, path: row.get(3)?, body: row.get(4)? };
        Ok((row.get::<i64>(0)?, request))
    })?;
    taken.sort_by_key(|(id, _)| *id);
    Ok(taken)
}

fn answer(session: &mut dyn Session, id: i64, response: &Response) -> Result<(), StoreError> {
    let sql = "UPDATE rtconfd.requests SET status = ?2, kind = ?3, location = ?4, answer = ?5 WHERE id = ?1";
    let Response { status, kind, location, body } = response;
    session.execute(sql, params![id, i64::from(*status), kind, location, body]).map(drop)
}

fn response(row: &dyn Row) -> Result<Response, StoreError> {
    Ok(Response {
        status: u16::try_from(row.get::<i64>(1)?).unwrap_or_default(),
        kind: row.get(2)?,
        location: row.get(3)?,
        body: row.get(4)?,
    })
}

/// Returns the answer for a request beyond those that may wait.
fn busy() -> Response {
    let message = "the active replica is busy, so the request was not carried out";
    let problem =
        serde_json::json!({ "problems": [{ "message": message, "hint": "try again" }] }).to_string();
    Response { status: 503, kind: "application/json".to_owned(), location: None, body: problem.into_bytes() }
}

/// Gives a sign of life, and removes old rows.
fn sign(session: &mut dyn Session, id: &str, files: Option<&OwnFiles>) -> Result<(), StoreError> {
    let sign = "INSERT INTO rtconfd.replicas (id, described, program, files) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET at = clock_timestamp(), files = excluded.files";
    let files = files.and_then(|files| serde_json::to_string(files).ok());
    session.execute(sign, params![id, lease::described(), env!("CARGO_PKG_VERSION"), files])?;
    for table in ["requests", "replicas"] {
        let old = format!("DELETE FROM rtconfd.{table} WHERE at < clock_timestamp() - INTERVAL '1 minute'");
        session.execute(&old, &[])?;
    }
    Ok(())
}

/// Returns all replicas that live, the holder of the lease first.
fn live(session: &mut dyn Session) -> Result<Vec<Replica>, StoreError> {
    let all = "SELECT replicas.described, program,
            CASE WHEN holder IS NOT NULL AND lease.described = replicas.described
                THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS active,
            CAST(EXTRACT(EPOCH FROM clock_timestamp() - at) AS BIGINT), files
        FROM rtconfd.replicas, rtconfd.lease ORDER BY active DESC, replicas.described";
    session.rows(all, &[], |row| {
        let is_active = row.get::<i64>(2)? == 1;
        let files = row.get::<Option<String>>(4)?.and_then(|files| serde_json::from_str(&files).ok());
        Ok(Replica { described: row.get(0)?, program: row.get(1)?, is_active, age: row.get(3)?, files })
    })
}
