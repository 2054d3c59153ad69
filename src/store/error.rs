//! Failures of the store.

/// A failure of the store. Each one stops writing to pages: no failure silently starts an empty
/// store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database reported an error.
    #[error("the store {path} failed: {error}{}", hint.map(|hint| format!(" (hint: {hint})")).unwrap_or_default())]
    Failed {
        /// The file.
        path: String,
        /// The database's error.
        error: String,
        /// The remedy, if an operator has one.
        hint: Option<&'static str>,
    },
    /// The file or its directory cannot be used.
    #[error(
        "cannot open the store {path}: {error} (hint: run this as the user of the daemon or as root, or \
         set store.path to a file in a writable directory)"
    )]
    Io {
        /// The file.
        path: String,
        /// The system's error.
        error: String,
    },
    /// Another process uses the store.
    #[error(
        "the store {path} is in use by {other}, so this rtconfd (process {}) stops (hint: {})",
        std::process::id(),
        in_use_hint(path)
    )]
    InUse {
        /// The file.
        path: String,
        /// The other process.
        other: String,
    },
    /// The store existed before and is now missing or empty.
    #[error(
        "the store {path} is missing: it existed before, with overrides, approvals and the history of \
         sent values (hint: restore a backup with rtconfd store restore FILE; if there is \
         none, start once with --accept-empty-store)"
    )]
    Lost {
        /// The file.
        path: String,
    },
    /// The store's content cannot be trusted.
    #[error(
        "the store {path} is damaged: {found} (hint: restore a backup with rtconfd store restore FILE; to \
         move it aside and start with an empty one, start once with --accept-empty-store)"
    )]
    Damaged {
        /// The file.
        path: String,
        /// A description of the damage.
        found: String,
    },
    /// A file that was named as a backup is not a backup, or cannot be read.
    #[error("the backup {path} cannot be used: {found} (hint: name another backup; nothing was changed)")]
    Backup {
        /// The file.
        path: String,
        /// The reason.
        found: String,
    },
    /// A backup cannot be written.
    #[error(
        "cannot write the backup {path}: {error} (hint: {})",
        hint.unwrap_or("name a new file in a folder that exists and that this user can write to")
    )]
    NoBackup {
        /// The file.
        path: String,
        /// The error.
        error: String,
        /// The remedy, if it is another one than the usual.
        hint: Option<&'static str>,
    },
    /// The file is the database of another program.
    #[error("{path} is the database of another program (hint: set store.path to another file)")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store {path} has version {found}, this program knows {known} (hint: run the newer rtconfd; \
         to go back to this one, restore the backup from before the update: rtconfd store restore FILE, \
         or pg_restore for a database)"
    )]
    Newer {
        /// The file.
        path: String,
        /// The store's version.
        found: i64,
        /// This program's version.
        known: i64,
    },
    /// The store was written by an older version and cannot be upgraded by a command that only
    /// reads.
    #[error(
        "the store {path} has version {found}, this program reads {known} (hint: run rtconfd run or \
         rtconfd apply to upgrade it)"
    )]
    Older {
        /// The file.
        path: String,
        /// The store's version.
        found: i64,
        /// This program's version.
        known: i64,
    },
    /// The store's files were removed or replaced while it was open.
    #[error(
        "the store {path} was removed or replaced while it was open, so nothing is sent any more (hint: \
         put the file back and start again; if it is lost, start once with --accept-empty-store)"
    )]
    Moved {
        /// The file.
        path: String,
    },
    /// The database does not answer, or not for now.
    #[error("cannot reach the store {path}: {error}; nothing is sent until it answers")]
    Unreachable {
        /// The database.
        path: String,
        /// The error.
        error: String,
    },
    /// A store in a database is created only on request.
    #[error("no store found in the database {path} (hint: create it with rtconfd store create)")]
    Absent {
        /// The database.
        path: String,
    },
    /// The content of the store is in another one.
    #[error(
        "the store {path} was moved to {to} (hint: name that store in the settings; to come back, move it \
         with rtconfd store move)"
    )]
    MovedTo {
        /// The store.
        path: String,
        /// The other store.
        to: String,
    },
    /// A store that rows are moved to has rows already.
    #[error("the store {path} is not empty (hint: name a new file or database; nothing was changed)")]
    NotEmpty {
        /// The store.
        path: String,
    },
    /// Another program took the lease over.
    #[error("the lease of the store {path} was taken over by {other}, so nothing is sent from here")]
    TakenOver {
        /// The database.
        path: String,
        /// The other program.
        other: String,
    },
    /// The lease was not renewed in time.
    #[error(
        "the lease of the store {path} has ended, or ends before a request could, so nothing is sent from \
         here"
    )]
    LeaseEnded {
        /// The database.
        path: String,
    },
    /// The database has fewer transactions than it had before.
    #[error(
        "the store {path} lost {lost} transactions that it had confirmed, so nothing is sent (hint: a \
         failover to a lagging standby or a restore may do this: check the overrides, use synchronous \
         replication, and restart the replicas to go on)"
    )]
    Rewound {
        /// The database.
        path: String,
        /// The number of transactions.
        lost: i64,
    },
    /// The database of a copy that is used alone answers again.
    #[error("the database {path} answers again: it gets what this replica did alone")]
    Returned {
        /// The database.
        path: String,
    },
    /// The database was written after a copy that was used alone.
    #[error(
        "the database {path} is not as it was when {copy} was copied, which this replica used alone: its last \
         lease is that of {}; nothing is sent from here (hint: rtconfd override list shows the overrides of the \
         copy: note those that are to last, move the copy away, and set them again)",
        if other.is_empty() { "no program" } else { other }
    )]
    Diverged {
        /// The database.
        path: String,
        /// The copy.
        copy: String,
        /// The other program.
        other: String,
    },
    /// The store cannot do it, and another program can.
    #[error("rtconfd does not copy the store {path} (hint: use {what})")]
    Unsupported {
        /// The database.
        path: String,
        /// The other program.
        what: &'static str,
    },
    /// The writer stopped after an earlier failure.
    #[error("the store was closed after an earlier failure")]
    Closed,
}

impl StoreError {
    /// Returns what happened, without its consequences for a store that is written.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Failed { error, hint: Some(hint), .. } => format!("{error} (hint: {hint})"),
            Self::Failed { error, .. } | Self::Io { error, .. } | Self::Unreachable { error, .. } => {
                error.clone()
            }
            Self::InUse { other, .. } => format!("{other} uses it"),
            error => error.to_string(),
        }
    }
}

/// Returns the remedy for a store that another process writes.
fn in_use_hint(path: &str) -> &'static str {
    match path.starts_with("postgres") {
        true => {
            "it keeps the pages right; rtconfd override, approve and status reach it from here, or stop it"
        }
        false => {
            "stop one, or give each its own store.path and pages: two owners of a page would overwrite each other"
        }
    }
}
