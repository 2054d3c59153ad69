//! Reads the store; used by the writer at startup and by commands beside a running daemon.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::{Change, Instant, PageId, RowName, Variable};
use crate::pages::{Override, OverrideKind, Part};
use crate::store::{
    Accepted, Behind, DriftRow, HistoryRow, OpenIntent, OverrideRow, Owner, PageState, Reading, Remembered,
    StoreError,
};

use super::{Job, Row, Session, owners, params, texts};

/// A connection that only reads.
pub(in crate::store) trait Connected {
    /// Runs statements.
    fn with(&self, job: Job) -> Result<(), StoreError>;
}

/// A store opened for reading only.
pub(in crate::store) struct Reader<C> {
    connected: C,
    /// The number of the owner; none for all.
    owner: Option<i64>,
}

impl<C: Connected> Reader<C> {
    /// Reads the rows of one owner, or of all.
    pub(in crate::store) fn new(connected: C, owner: Option<&Owner>) -> Result<Self, StoreError> {
        let mut reader = Self { connected, owner: None };
        if let Some(owner) = owner {
            // An owner that never wrote has no rows.
            let number = reader.read(|session, _| owners::number(session, owner))?;
            reader.owner = Some(number.unwrap_or(owners::NO_OWNER));
        }
        Ok(reader)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&mut dyn Session, Option<i64>) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError>
    where
        T: Send,
    {
        let (mut read, mut result, owner) = (Some(read), None, self.owner);
        self.connected.with(&mut |session| {
            result = read.take().map(|read| read(session, owner)).transpose()?;
            Ok(())
        })?;
        result.ok_or(StoreError::Closed)
    }
}

impl<C: Connected> Reading for Reader<C> {
    fn owners(&self) -> Result<Vec<Owner>, StoreError> {
        self.read(|session, _| owners::all(session))
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
        self.read(|session, owner| fact(session, owner, name))
    }

    fn drifts(
        &self,
        page: Option<&PageId>,
        lasting: bool,
        limit: usize,
    ) -> Result<Vec<DriftRow>, StoreError> {
        self.read(|session, owner| drifts(session, owner, page, lasting, limit))
    }

    fn pages(&self) -> Result<BTreeMap<PageId, PageState>, StoreError> {
        self.read(pages)
    }

    fn remembered(&self) -> Result<Remembered, StoreError> {
        self.read(|session, owner| remembered(session, owner.unwrap_or(owners::NO_OWNER)))
    }

    fn history(&self, page: Option<&PageId>, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.read(|session, owner| history(session, owner, page, limit))
    }

    fn last_applied(&self, page: &PageId) -> Result<Option<Instant>, StoreError> {
        let sql = "SELECT max(settled_at) FROM writes JOIN pages ON pages.id = writes.page
            WHERE owner = coalesce(?1, owner) AND agent = ?2 AND environment = ?3 AND outcome = 'applied'";
        self.read(|session, owner| {
            session.first(sql, params![owner, page.agent, page.environment.as_str()]).map(Option::flatten)
        })
    }
}

pub(super) fn approvals(
    session: &mut dyn Session,
    owner: Option<i64>,
) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT revision FROM approvals WHERE owner = coalesce(?1, owner) AND used_at IS NULL";
    Ok(session.rows(sql, params![owner], |row| row.get(0))?.into_iter().collect())
}

pub(super) fn fact(
    session: &mut dyn Session,
    owner: Option<i64>,
    name: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM facts WHERE owner = coalesce(?1, owner) AND name = ?2";
    session.first(sql, params![owner, name])
}

/// Returns the overrides in the order in which they were set.
pub(super) fn overrides(
    session: &mut dyn Session,
    owner: Option<i64>,
) -> Result<Vec<OverrideRow>, StoreError> {
    let sql = "SELECT overrides.id, at, who, reason, says, variable, value, released_at, released_by,
            agent || '/' || environment, until, part
        FROM overrides JOIN overridden ON overridden.override = overrides.id
        JOIN pages ON pages.id = overridden.page
        WHERE overrides.owner = coalesce(?1, overrides.owner) ORDER BY overrides.id";
    let mut found: Vec<OverrideRow> = Vec::new();
    session.each(sql, params![owner], &mut |row| {
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
        let page: PageId = page(row, 9)?;
        if let Some(last) = found.last_mut() {
            if let Some(text) = row.get::<Option<String>>(11)? {
                let part: StoredPart =
                    serde_json::from_str(&text).map_err(|error| row.unreadable(11, &error.to_string()))?;
                last.set.parts.insert(page.clone(), part.read());
            }
            last.set.pages.insert(page, row.get(10)?);
        }
        Ok(())
    })?;
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

fn kind(row: &dyn Row) -> Result<OverrideKind, StoreError> {
    match row.get::<String>(4)?.as_str() {
        "closed" => Ok(OverrideKind::Closed),
        "open" => Ok(OverrideKind::Open),
        _ => Ok(OverrideKind::Set { variable: variable(row, 5)?, value: row.get(6)? }),
    }
}

fn drifts(
    session: &mut dyn Session,
    owner: Option<i64>,
    page: Option<&PageId>,
    lasting: bool,
    limit: usize,
) -> Result<Vec<DriftRow>, StoreError> {
    let [baseline, found, desired] = ["base", "found", "desired"].map(texts::sql);
    let sql = format!(
        "SELECT since, agent || '/' || environment, variable, {baseline}, {found}, {desired}, answer, by, ended_at
            FROM drifts JOIN pages ON pages.id = drifts.page
            WHERE owner = coalesce(?1, owner) AND agent || '/' || environment = coalesce(?2, agent || '/' || environment)
                AND (ended_at IS NULL OR CAST(?3 AS BIGINT) = 0)
            ORDER BY drifts.id DESC LIMIT ?4",
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (page, lasting) = (page.map(ToString::to_string), i64::from(lasting));
    session.rows(&sql, params![owner, page, lasting, limit], |row| {
        let found: Option<String> = row.get(4)?;
        Ok(DriftRow {
            since: row.get(0)?,
            page: row.get(1)?,
            variable: row.get(2)?,
            baseline: json(row, 3, &row.get::<String>(3)?)?,
            found: found.map(|text| json(row, 4, &text)).transpose()?.unwrap_or_default(),
            desired: json(row, 5, &row.get::<String>(5)?)?,
            answer: row.get(6)?,
            by: row.get(7)?,
            ended_at: row.get(8)?,
        })
    })
}

pub(super) fn remembered(session: &mut dyn Session, owner: i64) -> Result<Remembered, StoreError> {
    let (behind, kept) = (behind(session, owner)?, kept(session, owner)?);
    let followers = behind.values().filter_map(|behind| behind.as_of);
    let numbers: BTreeSet<i64> = followers.chain(kept.values().copied()).collect();
    let last = "SELECT max(coalesce(until, since)) FROM accepted WHERE owner = ?1";
    let last: Option<i64> = session.first(last, params![owner])?.flatten();
    let mut older = BTreeMap::new();
    for number in &numbers {
        older.insert(*number, accepted(session, owner, *number)?);
    }
    Ok(Remembered {
        number: numbers.last().copied().max(last).unwrap_or(0),
        newest: accepted(session, owner, i64::MAX)?,
        older,
        behind,
        kept,
    })
}

/// Returns the settings and inputs that were active after an acceptance and before the next.
fn accepted(session: &mut dyn Session, owner: i64, number: i64) -> Result<Accepted, StoreError> {
    let sql = "SELECT path, content FROM accepted
        WHERE owner = ?1 AND since <= ?2 AND (until IS NULL OR until > ?2)";
    let rows = session.rows(sql, params![owner, number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut inputs: BTreeMap<String, Vec<u8>> = rows.into_iter().collect();
    let settings = inputs.remove("").and_then(|settings| String::from_utf8(settings).ok());
    Ok(Accepted { settings, inputs })
}

fn kept(session: &mut dyn Session, owner: i64) -> Result<BTreeMap<PageId, i64>, StoreError> {
    let sql = "SELECT agent || '/' || environment, as_of FROM kept JOIN pages ON pages.id = kept.page
        WHERE owner = ?1";
    let rows = session.rows(sql, params![owner], |row| Ok((page(row, 0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}

fn behind(session: &mut dyn Session, owner: i64) -> Result<BTreeMap<PageId, Behind>, StoreError> {
    let sql = "SELECT agent || '/' || environment, as_of, since FROM behind
        JOIN pages ON pages.id = behind.page WHERE owner = ?1";
    let rows = session.rows(sql, params![owner], |row| {
        Ok((page(row, 0)?, Behind { as_of: row.get(1)?, since: row.get(2)? }))
    })?;
    Ok(rows.into_iter().collect())
}

pub(super) fn pages(
    session: &mut dyn Session,
    owner: Option<i64>,
) -> Result<BTreeMap<PageId, PageState>, StoreError> {
    let mut states = BTreeMap::new();
    let mut by_number = BTreeMap::new();
    // Many pages share one schema.
    let mut schemas: HashMap<String, Arc<Value>> = HashMap::new();
    let sql = "SELECT id, agent || '/' || environment, schema, problem, problem_since FROM pages
        WHERE owner = coalesce(?1, owner)";
    session.each(sql, params![owner], &mut |row| {
        let page: PageId = page(row, 1)?;
        let problem: Option<String> = row.get(3)?;
        let since: Option<Instant> = row.get(4)?;
        by_number.insert(row.get::<i64>(0)?, page.clone());
        let mut read = |text: String| match schemas.get(&text) {
            Some(known) => Ok(known.clone()),
            None => json(row, 2, &text).map(|read| schemas.entry(text).or_insert(Arc::new(read)).clone()),
        };
        let schema = row.get::<Option<String>>(2)?.map(&mut read).transpose()?;
        states.insert(page, PageState { schema, problem: problem.zip(since), ..PageState::default() });
        Ok(())
    })?;
    let mut of_page =
        |sql: &str, note: &mut dyn FnMut(&mut PageState, &dyn Row) -> Result<(), StoreError>| {
            session.each(sql, &[], &mut |row| match by_number
                .get(&row.get(0)?)
                .and_then(|page| states.get_mut(page))
            {
                Some(state) => note(state, row),
                None => Ok(()),
            })
        };
    of_page("SELECT DISTINCT page FROM drifts WHERE ended_at IS NULL", &mut |state, _| {
        state.is_adrift = true;
        Ok(())
    })?;
    of_page("SELECT page, variable, value FROM bases", &mut |state, row| {
        state.baseline.insert(variable(row, 1)?, json(row, 2, &row.get::<String>(2)?)?);
        Ok(())
    })?;
    let [before, after] = ["before", "after"].map(texts::sql);
    let open = format!(
        "SELECT writes.page, writes.id, variable, {before}, {after}, because
            FROM writes INDEXED BY unsettled JOIN changes ON changes.write = writes.id
            WHERE outcome IN ('intended', 'unknown') ORDER BY writes.id",
    );
    of_page(&open, &mut |state, row| {
        let id = row.get(1)?;
        // Only the newest can still be open: a page has one PATCH at a time.
        let open = match state.open.take() {
            Some(open) if open.id == id => open,
            _ => OpenIntent { id, changes: Vec::new() },
        };
        state.open.insert(open).changes.push(change(row)?);
        Ok(())
    })?;
    Ok(states)
}

fn change(row: &dyn Row) -> Result<Change, StoreError> {
    let before: Option<String> = row.get(3)?;
    Ok(Change {
        variable: variable(row, 2)?,
        from: before.map(|text| json(row, 3, &text)).transpose()?,
        to: json(row, 4, &row.get::<String>(4)?)?,
        because: row.get(5)?,
        until: None,
    })
}

fn history(
    session: &mut dyn Session,
    owner: Option<i64>,
    page: Option<&PageId>,
    limit: usize,
) -> Result<Vec<HistoryRow>, StoreError> {
    let [before, after] = ["before", "after"].map(texts::sql);
    let sql = format!(
        "SELECT at, who, agent || '/' || environment, variable, {before}, {after}, because, outcome, correlation_id,
                error, tries
            FROM writes JOIN pages ON pages.id = writes.page JOIN changes ON changes.write = writes.id
            WHERE owner = coalesce(?1, owner) AND agent || '/' || environment = coalesce(?2, agent || '/' || environment)
            ORDER BY writes.id DESC, variable LIMIT ?3",
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    session.rows(&sql, params![owner, page.map(ToString::to_string), limit], |row| {
        let before: Option<String> = row.get(4)?;
        Ok(HistoryRow {
            at: row.get(0)?,
            who: row.get(1)?,
            page: row.get(2)?,
            variable: row.get(3)?,
            from: before.map(|text| json(row, 4, &text)).transpose()?.unwrap_or_default(),
            to: json(row, 5, &row.get::<String>(5)?)?,
            because: row.get(6)?,
            outcome: row.get(7)?,
            correlation_id: row.get(8)?,
            error: row.get(9)?,
            tries: row.get(10)?,
        })
    })
}

fn json(row: &dyn Row, column: usize, text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|error| row.unreadable(column, &error.to_string()))
}

fn page(row: &dyn Row, column: usize) -> Result<PageId, StoreError> {
    row.get::<String>(column)?.parse().map_err(|message: String| row.unreadable(column, &message))
}

fn variable(row: &dyn Row, column: usize) -> Result<Variable, StoreError> {
    row.get::<String>(column)?.parse().map_err(|message: String| row.unreadable(column, &message))
}
