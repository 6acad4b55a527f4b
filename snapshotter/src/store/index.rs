use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use crate::{Durability, Error, Result};

/// The schema's number, kept in `user_version` of the database.
const SCHEMA: i64 = 1;

/// How long a statement waits for another process's transaction. They are short.
const BUSY: Duration = Duration::from_secs(20);

const TABLES: &str = "
CREATE TABLE record (
    kind TEXT NOT NULL, key BLOB NOT NULL, grp TEXT NOT NULL, bytes BLOB NOT NULL, cost_ms INTEGER NOT NULL,
    used INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE INDEX record_group ON record (kind, grp, used);
CREATE TABLE form (
    layer BLOB NOT NULL, form TEXT NOT NULL, diff_id TEXT NOT NULL, descriptor TEXT NOT NULL,
    PRIMARY KEY (layer, form)) WITHOUT ROWID;
CREATE TABLE tree (layer BLOB PRIMARY KEY, bytes INTEGER NOT NULL, cost_ms INTEGER NOT NULL) WITHOUT ROWID;
";

/// The database: small facts that can be lost without losing an image (architecture.md, decision 2).
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Index {
    /// Opens the index, making it where it is missing.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self> {
        let error = |source| Error::Index { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(error)?;
        prepare(&mut connection, path, durability).map_err(error)??;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Runs `work` on the database.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.lock()).map_err(|source| Error::Index { path: self.path.clone(), source })
    }

    /// Asks for at most one row.
    pub(crate) fn find<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.with(|connection| connection.prepare_cached(sql)?.query_row(parameters, read).optional())
    }

    /// Changes rows; returns their number.
    pub(crate) fn change(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize> {
        self.with(|connection| connection.prepare_cached(sql)?.execute(parameters))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prepare(connection: &mut Connection, path: &Path, durability: Durability) -> rusqlite::Result<Result<()>> {
    connection.busy_timeout(BUSY)?;
    // In WAL mode NORMAL is safe against a crash of the process and keeps order after a loss of power.
    let synchronous = if durability == Durability::None { "OFF" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Closing must not wait for the disk; the log is folded in when it has grown.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        version = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            version = SCHEMA;
        }
        transaction.commit()?;
    }
    if version != SCHEMA {
        let root = path.parent().unwrap_or(path).to_owned();
        return Ok(Err(Error::StoreVersion { path: root, found: format!("index {version}") }));
    }
    Ok(Ok(()))
}

/// Tells whether the file is no database, or a damaged one.
pub(super) fn is_damaged(error: &Error) -> bool {
    let Error::Index { source, .. } = error else { return false };
    matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(source, rusqlite::Error::SqliteFailure(_, Some(text)) if text.starts_with("no such"))
}
