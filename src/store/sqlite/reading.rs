//! Reads the store; used by the writer at startup and by commands beside a running daemon.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{Change, Instant, PageId, RowName, Variable};
use crate::pages::{Override, OverrideKind, Part};
use crate::store::{
    Accepted, Behind, DriftRow, HistoryRow, OpenIntent, OverrideRow, Owner, PageState, Reading, Remembered,
    StoreError,
};

use super::{Sqlite, owners, texts};

/// A store opened for reading only.
pub(super) struct ReadOnly {
    connection: Connection,
    location: Sqlite,
    /// The number of the owner; none for all.
    owner: Option<i64>,
}

impl ReadOnly {
    /// Reads the rows of one owner, or of all.
    pub(super) fn new(
        connection: Connection,
        location: Sqlite,
        owner: Option<&Owner>,
    ) -> Result<Self, StoreError> {
        let number = owner.map(|owner| owners::number(&connection, owner)).transpose();
        // An owner that never wrote has no rows.
        let owner =
            number.map_err(|error| location.sqlite(error))?.map(|number| number.unwrap_or(owners::NO_OWNER));
        Ok(Self { connection, location, owner })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection, Option<i64>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&self.connection, self.owner).map_err(|error| self.location.sqlite(error))
    }
}

impl Reading for ReadOnly {
    fn owners(&self) -> Result<Vec<Owner>, StoreError> {
        self.read(|connection, _| owners::all(connection))
    }

    fn overrides(&self, now: Instant, all: bool) -> Result<Vec<OverrideRow>, StoreError> {
        let mut rows = self.read(overrides)?;
        rows.retain(|row| all || (row.released.is_none() && !row.set.is_over(now)));
        rows.reverse();
        Ok(rows)
    }

    fn approvals(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read(approvals)
    }

    fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.read(|connection, owner| fact(connection, owner, name))
    }

    fn drifts(
        &self,
        page: Option<&PageId>,
        lasting: bool,
        limit: usize,
    ) -> Result<Vec<DriftRow>, StoreError> {
        self.read(|connection, owner| drifts(connection, owner, page, lasting, limit))
    }

    fn pages(&self) -> Result<BTreeMap<PageId, PageState>, StoreError> {
        self.read(pages)
    }

    fn remembered(&self) -> Result<Remembered, StoreError> {
        self.read(|connection, owner| remembered(connection, owner.unwrap_or(owners::NO_OWNER)))
    }

    fn history(&self, page: Option<&PageId>, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.read(|connection, owner| history(connection, owner, page, limit))
    }

    fn last_applied(&self, page: &PageId) -> Result<Option<Instant>, StoreError> {
        let sql = "SELECT max(settled_at) FROM writes JOIN pages ON pages.id = writes.page
            WHERE (?1 IS NULL OR owner = ?1) AND agent = ?2 AND environment = ?3 AND outcome = 'applied'";
        self.read(|connection, owner| {
            connection
                .query_row(sql, params![owner, page.agent, page.environment.as_str()], |row| row.get(0))
                .optional()
                .map(Option::flatten)
        })
    }
}

pub(super) fn approvals(connection: &Connection, owner: Option<i64>) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT revision FROM approvals WHERE (?1 IS NULL OR owner = ?1) AND used_at IS NULL";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([owner], |row| row.get(0))?;
    rows.collect()
}

pub(super) fn fact(
    connection: &Connection,
    owner: Option<i64>,
    name: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM facts WHERE (?1 IS NULL OR owner = ?1) AND name = ?2";
    connection.query_row(sql, params![owner, name], |row| row.get(0)).optional()
}

/// Returns the overrides in the order in which they were set.
pub(super) fn overrides(connection: &Connection, owner: Option<i64>) -> rusqlite::Result<Vec<OverrideRow>> {
    let mut statement = connection.prepare(
        "SELECT overrides.id, at, who, reason, says, variable, value, released_at, released_by,
                agent || '/' || environment, until, part
            FROM overrides JOIN overridden ON overridden.override = overrides.id
            JOIN pages ON pages.id = overridden.page
            WHERE ?1 IS NULL OR overrides.owner = ?1 ORDER BY overrides.id",
    )?;
    let mut rows = statement.query([owner])?;
    let mut found: Vec<OverrideRow> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if found.last().is_none_or(|last| last.set.id != id) {
            let released_at: Option<Instant> = row.get(7)?;
            found.push(OverrideRow {
                set: Override {
                    id,
                    at: row.get(1)?,
                    who: row.get(2)?,
                    reason: row.get(3)?,
                    kind: kind(row)?,
                    pages: BTreeMap::new(),
                    parts: BTreeMap::new(),
                },
                released: released_at.zip(row.get(8)?),
            });
        }
        let page: PageId = row.get::<_, String>(9)?.parse().map_err(|text| unreadable(row, 9, text))?;
        if let Some(last) = found.last_mut() {
            if let Some(text) = row.get::<_, Option<String>>(11)? {
                let part: StoredPart =
                    serde_json::from_str(&text).map_err(|error| unreadable(row, 11, error.to_string()))?;
                last.set.parts.insert(page.clone(), part.read());
            }
            last.set.pages.insert(page, row.get(10)?);
        }
    }
    Ok(found)
}

/// The stored form of the part of a page that an override covers.
///
/// Each row is stored as its key column, its key and its end. Its source is stored separately,
/// because older stores do not have it.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredPart {
    own: bool,
    rows: Vec<(String, String, Option<Instant>)>,
    #[serde(default)]
    sources: Vec<Option<String>>,
}

impl StoredPart {
    pub(super) fn text(part: &Part) -> String {
        let row = |(RowName { source, column, key }, until)| ((column, key, until), source);
        let (rows, sources) = part.rows().map(row).unzip();
        json!(Self { own: part.own, rows, sources }).to_string()
    }

    fn read(self) -> Part {
        let sources = self.sources.into_iter().chain(std::iter::repeat(None));
        let row = |((column, key, until), source)| (RowName { source, column, key }, until);
        Part::new(self.own, self.rows.into_iter().zip(sources).map(row))
    }
}

fn kind(row: &Row) -> rusqlite::Result<OverrideKind> {
    match row.get::<_, String>(4)?.as_str() {
        "closed" => Ok(OverrideKind::Closed),
        "open" => Ok(OverrideKind::Open),
        _ => Ok(OverrideKind::Set { variable: variable(row, 5)?, value: row.get(6)? }),
    }
}

fn drifts(
    connection: &Connection,
    owner: Option<i64>,
    page: Option<&PageId>,
    lasting: bool,
    limit: usize,
) -> rusqlite::Result<Vec<DriftRow>> {
    let [baseline, found, desired] = ["base", "found", "desired"].map(texts::sql);
    let mut statement = connection.prepare(&format!(
        "SELECT since, agent || '/' || environment, variable, {baseline}, {found}, {desired}, answer, by, ended_at
            FROM drifts JOIN pages ON pages.id = drifts.page
            WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR agent || '/' || environment = ?2)
                AND (ended_at IS NULL OR NOT ?3)
            ORDER BY drifts.id DESC LIMIT ?4",
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![owner, page.map(ToString::to_string), lasting, limit], |row| {
        let found: Option<String> = row.get(4)?;
        Ok(DriftRow {
            since: row.get(0)?,
            page: row.get(1)?,
            variable: row.get(2)?,
            baseline: json(row, 3, &row.get::<_, String>(3)?)?,
            found: found.map(|text| json(row, 4, &text)).transpose()?.unwrap_or_default(),
            desired: json(row, 5, &row.get::<_, String>(5)?)?,
            answer: row.get(6)?,
            by: row.get(7)?,
            ended_at: row.get(8)?,
        })
    })?;
    rows.collect()
}

pub(super) fn remembered(connection: &Connection, owner: i64) -> rusqlite::Result<Remembered> {
    let (behind, kept) = (behind(connection, owner)?, kept(connection, owner)?);
    let followers = behind.values().filter_map(|behind| behind.as_of);
    let older: BTreeSet<i64> = followers.chain(kept.values().copied()).collect();
    let last = "SELECT coalesce(max(coalesce(until, since)), 0) FROM accepted WHERE owner = ?1";
    let last: i64 = connection.query_row(last, [owner], |row| row.get(0))?;
    let number = older.last().copied().unwrap_or(0).max(last);
    let older = older.into_iter().map(|number| Ok((number, accepted(connection, owner, number)?)));
    Ok(Remembered {
        number,
        newest: accepted(connection, owner, i64::MAX)?,
        older: older.collect::<rusqlite::Result<_>>()?,
        behind,
        kept,
    })
}

/// Returns the settings and inputs that were active after an acceptance and before the next.
fn accepted(connection: &Connection, owner: i64, number: i64) -> rusqlite::Result<Accepted> {
    let mut statement = connection.prepare_cached(
        "SELECT path, content FROM accepted
            WHERE owner = ?1 AND since <= ?2 AND (until IS NULL OR until > ?2)",
    )?;
    let rows = statement.query_map([owner, number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut inputs: BTreeMap<String, Vec<u8>> = rows.collect::<rusqlite::Result<_>>()?;
    let settings = inputs.remove("").and_then(|settings| String::from_utf8(settings).ok());
    Ok(Accepted { settings, inputs })
}

fn kept(connection: &Connection, owner: i64) -> rusqlite::Result<BTreeMap<PageId, i64>> {
    let mut statement = connection.prepare(
        "SELECT agent || '/' || environment, as_of FROM kept JOIN pages ON pages.id = kept.page
            WHERE owner = ?1",
    )?;
    let rows = statement.query_map([owner], |row| {
        let page = row.get::<_, String>(0)?.parse().map_err(|text| unreadable(row, 0, text))?;
        Ok((page, row.get(1)?))
    })?;
    rows.collect()
}

fn behind(connection: &Connection, owner: i64) -> rusqlite::Result<BTreeMap<PageId, Behind>> {
    let mut statement = connection.prepare(
        "SELECT agent || '/' || environment, as_of, since FROM behind
            JOIN pages ON pages.id = behind.page WHERE owner = ?1",
    )?;
    let rows = statement.query_map([owner], |row| {
        let page = row.get::<_, String>(0)?.parse().map_err(|text| unreadable(row, 0, text))?;
        Ok((page, Behind { as_of: row.get(1)?, since: row.get(2)? }))
    })?;
    rows.collect()
}

pub(super) fn pages(
    connection: &Connection,
    owner: Option<i64>,
) -> rusqlite::Result<BTreeMap<PageId, PageState>> {
    let mut states = BTreeMap::new();
    let mut by_number = BTreeMap::new();
    // Many pages share one schema.
    let mut schemas: HashMap<String, Arc<Value>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT id, agent, environment, schema, problem, problem_since FROM pages
            WHERE ?1 IS NULL OR owner = ?1",
    )?;
    let mut rows = statement.query([owner])?;
    while let Some(row) = rows.next()? {
        let page: PageId = format!("{}/{}", row.get::<_, String>(1)?, row.get::<_, String>(2)?)
            .parse()
            .map_err(|message: String| unreadable(row, 1, message))?;
        let problem: Option<String> = row.get(4)?;
        let since: Option<Instant> = row.get(5)?;
        by_number.insert(row.get::<_, i64>(0)?, page.clone());
        let mut read = |text: String| match schemas.get(&text) {
            Some(known) => Ok(known.clone()),
            None => json(row, 3, &text).map(|read| schemas.entry(text).or_insert(Arc::new(read)).clone()),
        };
        let schema = row.get::<_, Option<String>>(3)?.map(&mut read).transpose()?;
        states.insert(page, PageState { schema, problem: problem.zip(since), ..PageState::default() });
    }
    let mut statement = connection.prepare("SELECT DISTINCT page FROM drifts WHERE ended_at IS NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = by_number.get(&row.get(0)?).and_then(|page| states.get_mut(page)) {
            state.is_adrift = true;
        }
    }
    let mut statement = connection.prepare("SELECT page, variable, value FROM bases")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = by_number.get(&row.get(0)?).and_then(|page| states.get_mut(page)) {
            state.baseline.insert(variable(row, 1)?, json(row, 2, &row.get::<_, String>(2)?)?);
        }
    }
    let [before, after] = ["before", "after"].map(texts::sql);
    let mut statement = connection.prepare(&format!(
        "SELECT writes.page, writes.id, variable, {before}, {after}, because
            FROM writes INDEXED BY unsettled JOIN changes ON changes.write = writes.id
            WHERE outcome IN ('intended', 'unknown') ORDER BY writes.id",
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(state) = by_number.get(&row.get(0)?).and_then(|page| states.get_mut(page)) {
            let id = row.get(1)?;
            // Only the newest can still be open: a page has one PATCH at a time.
            let open = match state.open.take() {
                Some(open) if open.id == id => open,
                _ => OpenIntent { id, changes: Vec::new() },
            };
            state.open.insert(open).changes.push(change(row)?);
        }
    }
    Ok(states)
}

fn change(row: &Row) -> rusqlite::Result<Change> {
    let before: Option<String> = row.get(3)?;
    Ok(Change {
        variable: variable(row, 2)?,
        from: before.map(|text| json(row, 3, &text)).transpose()?,
        to: json(row, 4, &row.get::<_, String>(4)?)?,
        because: row.get(5)?,
        until: None,
    })
}

fn history(
    connection: &Connection,
    owner: Option<i64>,
    page: Option<&PageId>,
    limit: usize,
) -> rusqlite::Result<Vec<HistoryRow>> {
    let [before, after] = ["before", "after"].map(texts::sql);
    let mut statement = connection.prepare(&format!(
        "SELECT at, who, agent || '/' || environment, variable, {before}, {after}, because, outcome, correlation_id,
                error, tries
            FROM writes JOIN pages ON pages.id = writes.page JOIN changes ON changes.write = writes.id
            WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR agent || '/' || environment = ?2)
            ORDER BY writes.id DESC, variable LIMIT ?3",
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![owner, page.map(ToString::to_string), limit], |row| {
        let before: Option<String> = row.get(4)?;
        Ok(HistoryRow {
            at: row.get(0)?,
            who: row.get(1)?,
            page: row.get(2)?,
            variable: row.get(3)?,
            from: before.map(|text| json(row, 4, &text)).transpose()?.unwrap_or_default(),
            to: json(row, 5, &row.get::<_, String>(5)?)?,
            because: row.get(6)?,
            outcome: row.get(7)?,
            correlation_id: row.get(8)?,
            error: row.get(9)?,
            tries: row.get(10)?,
        })
    })?;
    rows.collect()
}

fn json(row: &Row, column: usize, text: &str) -> rusqlite::Result<Value> {
    serde_json::from_str(text).map_err(|error| unreadable(row, column, error.to_string()))
}

fn variable(row: &Row, column: usize) -> rusqlite::Result<Variable> {
    row.get::<_, String>(column)?.parse().map_err(|message: String| unreadable(row, column, message))
}

fn unreadable(_: &Row, column: usize, message: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, message.into())
}
