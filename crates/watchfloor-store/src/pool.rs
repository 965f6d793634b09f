//! Opens the file, brings its schema up to date, hands out readers and the one writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use watchfloor_model::TenantId;

use crate::{OpenError, Reader, StoreError, WriteTx};

/// Migrations in order; the n-th brings the schema to version n+1. Never edit one that shipped.
const MIGRATIONS: [&str; 5] = [
    include_str!("../migrations/0001_control_plane.sql"),
    include_str!("../migrations/0002_rule_versions.sql"),
    include_str!("../migrations/0003_exceptions.sql"),
    include_str!("../migrations/0004_retention.sql"),
    include_str!("../migrations/0005_saved_searches.sql"),
];

/// Schema version that this program writes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// How long a statement waits for a lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections for reading.
const READERS_MAX: u32 = 4;

/// The records of one data folder.
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
}

impl Store {
    /// Opens `records.sqlite` in a data folder, making both when absent.
    ///
    /// # Errors
    /// [`OpenError`]: what, where, and how to mend it.
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let path = folder.join("records.sqlite");
        let failed = |source| OpenError::Database {
            path: path.clone(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(200);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        migrate(&writer, &path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(failed)?;
        Ok(Self {
            writer,
            readers,
            path,
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a consistent read of one tenant's records.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn read(&self, tenant: &TenantId) -> Result<Reader, StoreError> {
        Ok(Reader::new(self.readers.begin().await?, tenant.clone()))
    }

    /// Starts the one writing transaction; others wait until it ends.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn write(&self, tenant: &TenantId) -> Result<WriteTx, StoreError> {
        let tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(WriteTx::new(tx, tenant.clone()))
    }

    /// The pool of readers, for what comes before a tenant is known (sign-in by secret).
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The one writer, for housekeeping without audit (last use of a session).
    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Closes all connections; waits for the ones in use.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let failed = |version| {
        move |source| OpenError::Migration {
            path: path.to_owned(),
            version,
            source,
        }
    };
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(pool)
        .await
        .map_err(failed(0))?;
    let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
        .fetch_one(pool)
        .await
        .map_err(failed(0))?;
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA_VERSION,
        });
    }
    for (version, sql) in (1_i64..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        let mut tx = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed(version))?;
        sqlx::raw_sql(sql)
            .execute(&mut *tx)
            .await
            .map_err(failed(version))?;
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version)
            .execute(&mut *tx)
            .await
            .map_err(failed(version))?;
        tx.commit().await.map_err(failed(version))?;
    }
    Ok(())
}
