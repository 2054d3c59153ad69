//! The store's tables, version by version. A released step never changes; a change is a new step.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// The steps; each takes the store from its index to the next version.
const STEPS: &[&str] = &["
    -- A page at one API: the same agent elsewhere is another page.
    CREATE TABLE pages (
        id INTEGER PRIMARY KEY,
        api TEXT NOT NULL,
        agent TEXT NOT NULL,
        environment TEXT NOT NULL,
        schema TEXT,                -- as last seen, for looking ahead without the API
        last_updated TEXT,          -- as last seen
        problem TEXT,               -- what keeps the page from being right, in words
        problem_since TEXT,
        UNIQUE (api, agent, environment)
    ) STRICT;

    -- The values that we last put on a page and saw confirmed.
    CREATE TABLE bases (
        page INTEGER NOT NULL REFERENCES pages (id),
        variable TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (page, variable)
    ) STRICT, WITHOUT ROWID;

    -- One PATCH: written as an intent before it is sent, settled after.
    CREATE TABLE writes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        page INTEGER NOT NULL REFERENCES pages (id),
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        outcome TEXT NOT NULL DEFAULT 'intended',   -- applied, failed, unknown, overwritten
        settled_at TEXT,
        correlation_id TEXT,
        error TEXT
    ) STRICT;
    CREATE INDEX unsettled ON writes (page) WHERE outcome IN ('intended', 'unknown');

    CREATE TABLE changes (
        write INTEGER NOT NULL REFERENCES writes (id),
        variable TEXT NOT NULL,
        before TEXT,
        after TEXT NOT NULL,
        because TEXT NOT NULL,
        PRIMARY KEY (write, variable)
    ) STRICT, WITHOUT ROWID;

    -- The inputs as they last were without a problem, so that a restart with bad files has something to go on.
    CREATE TABLE inputs (
        path TEXT PRIMARY KEY,
        content BLOB NOT NULL,
        accepted_at TEXT NOT NULL
    ) STRICT;
", "
    -- What a person set for a while; in force from its row on, until its end or its release.
    CREATE TABLE overrides (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        api TEXT NOT NULL,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        says TEXT NOT NULL,         -- closed, open, set
        variable TEXT,
        value TEXT,
        released_at TEXT,
        released_by TEXT
    ) STRICT;

    CREATE TABLE overridden (
        override INTEGER NOT NULL REFERENCES overrides (id),
        page INTEGER NOT NULL REFERENCES pages (id),
        until TEXT,                 -- none: until it is released
        PRIMARY KEY (override, page)
    ) STRICT, WITHOUT ROWID;

    -- A revision of inputs and settings that a person let pass.
    CREATE TABLE approvals (
        revision TEXT PRIMARY KEY,
        at TEXT NOT NULL,
        who TEXT NOT NULL
    ) STRICT;

    -- Values that others changed on a page, from when we saw it to when they were gone.
    CREATE TABLE drifts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        page INTEGER NOT NULL REFERENCES pages (id),
        variable TEXT NOT NULL,
        base TEXT NOT NULL,
        found TEXT,
        desired TEXT NOT NULL,
        answer TEXT NOT NULL,       -- restored, kept, reported, held
        since TEXT NOT NULL,
        by TEXT,                    -- the user whom the webhook named
        ended_at TEXT
    ) STRICT;
    CREATE INDEX lasting ON drifts (page) WHERE ended_at IS NULL;

    -- Single facts about the whole: the settings in force, what is held.
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT;
", "
    -- Settings and inputs as they were in force, from the acceptance that brought them to the one that replaced them:
    -- pages that follow others may still be as older ones made them.
    CREATE TABLE accepted (
        path TEXT NOT NULL,         -- empty for the settings
        has_problems INTEGER NOT NULL,  -- 1: some of it is as it was without any, which stands beside it
        content BLOB NOT NULL,
        accepted_at TEXT NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER,              -- none while in force
        PRIMARY KEY (path, has_problems, since)
    ) STRICT;
    INSERT INTO accepted SELECT path, 0, content, accepted_at, 1, NULL FROM inputs;
    INSERT INTO accepted SELECT '', 0, CAST(value AS BLOB), '', 1, NULL FROM facts WHERE name = 'settings';
    DELETE FROM facts WHERE name = 'settings';
    DROP TABLE inputs;

    -- Pages that are not yet as the newest acceptance makes them, because they follow others.
    CREATE TABLE behind (
        page INTEGER PRIMARY KEY REFERENCES pages (id),
        as_of INTEGER,              -- the acceptance that they are as; none: they were never in force
        since TEXT                  -- from when on the page that they follow has held the newest; none: it doesn't
    ) STRICT;
", "
    -- Which rows of a page are meant, as JSON; none where the page is meant whole.
    ALTER TABLE overridden ADD COLUMN part TEXT;
", "
    -- Nobody asks the store for it.
    ALTER TABLE pages DROP COLUMN last_updated;
", "
    -- What is in force is kept as it is, the bad with the good. Pages that something bad concerns are as an older acceptance
    -- made them.
    CREATE TABLE kept (
        page INTEGER PRIMARY KEY REFERENCES pages (id),
        as_of INTEGER NOT NULL      -- the acceptance that they are as
    ) STRICT;
    ALTER TABLE accepted RENAME TO accepted_before;
    CREATE TABLE accepted (
        path TEXT NOT NULL,         -- empty for the settings
        content BLOB NOT NULL,
        accepted_at TEXT NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER,              -- none while in force
        PRIMARY KEY (path, since)
    ) STRICT;
    INSERT INTO accepted SELECT path, content, accepted_at, since, until FROM accepted_before WHERE has_problems = 0;
    DROP TABLE accepted_before;

    -- An approval lets its revision pass once.
    ALTER TABLE approvals ADD COLUMN used_at TEXT;

    -- Status asks for the last change of each page.
    CREATE INDEX applied ON writes (page, settled_at) WHERE outcome = 'applied';
", "
    -- Long values, each once: in their place stands # and the SHA-256 of their text.
    CREATE TABLE texts (
        hash TEXT PRIMARY KEY,
        text TEXT NOT NULL,
        used_at TEXT NOT NULL       -- when it was last written
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX old_texts ON texts (used_at);

    -- An intent that failed is tried again as the same.
    ALTER TABLE writes ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
", "
    -- The programs that rows belong to. Those that share a store leave each other's rows alone.
    CREATE TABLE owners (
        id INTEGER PRIMARY KEY,
        api TEXT NOT NULL,          -- the API's base URL
        name TEXT NOT NULL,         -- [store] owner
        UNIQUE (api, name)
    ) STRICT;
    INSERT INTO owners (api, name) SELECT api, 'default' FROM (SELECT api FROM pages UNION SELECT api FROM overrides);

    -- Other tables refer to pages and overrides by name, so foreign keys are off during this step.
    CREATE TABLE new_pages (
        id INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owners (id),
        agent TEXT NOT NULL,
        environment TEXT NOT NULL,
        schema TEXT,                -- as last fetched, for looking ahead without the API
        problem TEXT,               -- the problem that prevents the page from being correct
        problem_since TEXT,
        UNIQUE (owner, agent, environment)
    ) STRICT;
    INSERT INTO new_pages SELECT pages.id, owners.id, agent, environment, schema, problem, problem_since
        FROM pages JOIN owners USING (api);
    DROP TABLE pages;
    ALTER TABLE new_pages RENAME TO pages;
    CREATE TABLE new_overrides (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL REFERENCES owners (id),
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        says TEXT NOT NULL,         -- closed, open, set
        variable TEXT,
        value TEXT,
        released_at TEXT,
        released_by TEXT
    ) STRICT;
    INSERT INTO new_overrides
        SELECT overrides.id, owners.id, at, who, reason, says, variable, value, released_at, released_by
        FROM overrides JOIN owners USING (api);
    DROP TABLE overrides;
    ALTER TABLE new_overrides RENAME TO overrides;

    -- These had no API. Each owner gets a copy. Without an owner, nothing was ever sent.
    ALTER TABLE approvals RENAME TO old_approvals;
    CREATE TABLE approvals (
        owner INTEGER NOT NULL REFERENCES owners (id),
        revision TEXT NOT NULL,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        used_at TEXT,
        PRIMARY KEY (owner, revision)
    ) STRICT;
    INSERT INTO approvals SELECT owners.id, revision, at, who, used_at FROM old_approvals, owners
        -- An approval must not let a change pass at several APIs.
        WHERE used_at IS NOT NULL OR (SELECT count(*) FROM owners) = 1;
    DROP TABLE old_approvals;
    ALTER TABLE facts RENAME TO old_facts;
    CREATE TABLE facts (
        owner INTEGER NOT NULL REFERENCES owners (id),
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (owner, name)
    ) STRICT;
    INSERT INTO facts SELECT owners.id, old_facts.name, value FROM old_facts, owners;
    DROP TABLE old_facts;
    ALTER TABLE accepted RENAME TO old_accepted;
    CREATE TABLE accepted (
        owner INTEGER NOT NULL REFERENCES owners (id),
        path TEXT NOT NULL,         -- empty for the settings
        content BLOB NOT NULL,
        accepted_at TEXT NOT NULL,
        since INTEGER NOT NULL,
        until INTEGER,              -- none while active
        PRIMARY KEY (owner, path, since)
    ) STRICT;
    INSERT INTO accepted SELECT owners.id, path, content, accepted_at, since, until FROM old_accepted, owners;
    DROP TABLE old_accepted;
    ALTER TABLE texts RENAME TO old_texts_table;
    DROP INDEX old_texts;
    CREATE TABLE texts (
        hash TEXT NOT NULL,
        owner INTEGER NOT NULL REFERENCES owners (id),
        text TEXT NOT NULL,
        used_at TEXT NOT NULL,      -- when it was last written
        PRIMARY KEY (hash, owner)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO texts SELECT hash, owners.id, text, used_at FROM old_texts_table, owners;
    DROP TABLE old_texts_table;
    CREATE INDEX old_texts ON texts (owner, used_at);
"];

/// The version that this program writes.
pub const VERSION: i64 = STEPS.len() as i64;

/// Returns the version of a store; 0 for a new one.
pub fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns true for a store of ours, and for an empty file.
pub fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let count = |tables: &str| {
        let sql = format!("SELECT count(*) FROM sqlite_master {tables}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    let ours = count("WHERE type = 'table' AND name IN ('pages', 'writes', 'changes')")?;
    Ok(ours == 3 || count("")? == 0)
}

/// Upgrades a store from a version to the current one, all or nothing.
fn apply(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    apply_up_to(connection, from, VERSION)
}

/// Upgrades a store from one version to another.
pub(super) fn apply_up_to(connection: &mut Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (step, _) in STEPS.iter().zip(1..=to).filter(|(_, version)| *version > from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

/// Upgrades a store and returns the version it had before.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    // A file that is not a database fails here, before anything is written to it.
    let found = version(connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Without this, SQLite prepares a cached statement again for each use if its planner looked at a
    // bound value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if found < VERSION {
        connection.pragma_update(None, "foreign_keys", "OFF")?;
        apply(connection, found)?;
    }
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(found)
}
