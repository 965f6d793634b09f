//! Opens the records, brings their schema up to date, hands out readers and the one writer.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions};
use watchfloor_model::TenantId;

use crate::sql::{self, Conn, Target};
use crate::{OpenError, Reader, StoreError, WriteTx};

/// Migrations in order; the n-th brings the schema to version n+1. Never edit one that shipped.
const MIGRATIONS: [&str; 10] = [
    include_str!("../migrations/0001_control_plane.sql"),
    include_str!("../migrations/0002_rule_versions.sql"),
    include_str!("../migrations/0003_exceptions.sql"),
    include_str!("../migrations/0004_retention.sql"),
    include_str!("../migrations/0005_saved_searches.sql"),
    include_str!("../migrations/0006_response.sql"),
    include_str!("../migrations/0007_fleet.sql"),
    include_str!("../migrations/0008_clocks.sql"),
    include_str!("../migrations/0009_risk.sql"),
    include_str!("../migrations/0010_crowded.sql"),
];

/// What PostgreSQL lacks of what the repositories use.
const POSTGRES_PRELUDE: &str = "CREATE OR REPLACE FUNCTION instr(TEXT, TEXT) RETURNS INTEGER \
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT strpos($1, $2)'";

/// Schema version that this program writes.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// How long a statement of SQLite waits for a lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller waits for a connection to SQLite.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a caller waits for a connection to PostgreSQL; also how long it takes until a server
/// that is away is called that.
const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections for reading.
const READERS_MAX: u32 = 4;
/// Connections for reading from PostgreSQL.
const POSTGRES_READERS_MAX: u32 = 8;

/// What each session of PostgreSQL is held to: how long a statement runs, how long it waits for
/// the writer of another server, and how long a server that went away keeps others from writing.
const POSTGRES_SESSION: [(&str, &str); 3] = [
    ("statement_timeout", "60s"),
    ("lock_timeout", "20s"),
    ("idle_in_transaction_session_timeout", "60s"),
];

/// Name that locks belong to, so that other programs in the same database do not meet them.
const LOCK_NAME: &str = "watchfloor";

/// Where PostgreSQL is, and who asks.
#[derive(Clone)]
pub struct PostgresOptions {
    /// As `postgres://user@host:5432/database?sslmode=verify-full`.
    pub url: String,
    /// Password, where it does not stand in the URL.
    pub password: Option<String>,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PostgresOptions")
    }
}

#[derive(Clone, Debug)]
enum Pools {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres {
        writer: PgPool,
        readers: PgPool,
    },
}

/// The records of one data folder, or of one database.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
    place: String,
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
        let place = path.display().to_string();
        let failed = |source| OpenError::Database {
            place: place.clone(),
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
        // The file is there before it is opened for reading alone.
        migrate(&Begin::Sqlite(&writer), &place).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(failed)?;
        Ok(Self {
            pools: Pools::Sqlite { writer, readers },
            place,
        })
    }

    /// Opens a database of PostgreSQL; makes the tables when absent. Several servers may use it.
    ///
    /// # Errors
    /// [`OpenError`]: what, where, and how to mend it. No error tells a password.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, OpenError> {
        let parsed = PgConnectOptions::from_str(&options.url).map_err(|_| OpenError::Url)?;
        let mut asked = parsed
            .application_name("watchfloor")
            .statement_cache_capacity(200)
            .options(POSTGRES_SESSION)
            .disable_statement_logging();
        if let Some(password) = &options.password {
            asked = asked.password(password);
        }
        let place = postgres_place(&asked);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(POSTGRES_ACQUIRE_TIMEOUT)
                .connect_lazy_with(asked.clone())
        };
        let (writer, readers) = (pool(1), pool(POSTGRES_READERS_MAX));
        // A pool tells of a time-out; the reason stands in the first try.
        asked.connect().await.map_err(|source| OpenError::Server {
            place: place.clone(),
            source,
        })?;
        migrate(&Begin::Postgres(&writer), &place).await?;
        Ok(Self {
            pools: Pools::Postgres { writer, readers },
            place,
        })
    }

    /// Where the records stand: a file, or server and database, without credentials.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Starts a consistent read of one tenant's records.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn read(&self, tenant: &TenantId) -> Result<Reader, StoreError> {
        let conn = match &self.pools {
            Pools::Sqlite { readers, .. } => Conn::Sqlite(readers.begin().await?),
            Pools::Postgres { readers, .. } => Conn::Postgres(
                readers
                    .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        };
        Ok(Reader::new(conn, tenant.clone()))
    }

    /// Starts the one writing transaction of a tenant; others wait until it ends, those of other
    /// servers too.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn write(&self, tenant: &TenantId) -> Result<WriteTx, StoreError> {
        Ok(WriteTx::new(self.begin(tenant).await?, tenant.clone()))
    }

    /// The one writing transaction, bare.
    pub(crate) async fn begin(&self, tenant: &TenantId) -> Result<Conn, StoreError> {
        let begin = match &self.pools {
            Pools::Sqlite { writer, .. } => Begin::Sqlite(writer),
            Pools::Postgres { writer, .. } => Begin::Postgres(writer),
        };
        Ok(begin.begin(tenant.as_str()).await?)
    }

    /// The readers, for what comes before a tenant is known (sign-in by secret).
    pub(crate) const fn readers(&self) -> Target<'_> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => Target::SqlitePool(readers),
            Pools::Postgres { readers, .. } => Target::PostgresPool(readers),
        }
    }

    /// A writer, for housekeeping without audit (last use of a session).
    pub(crate) const fn writer(&self) -> Target<'_> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Target::SqlitePool(writer),
            Pools::Postgres { writer, .. } => Target::PostgresPool(writer),
        }
    }

    /// Closes all connections; waits for the ones in use.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

fn postgres_place(options: &PgConnectOptions) -> String {
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("postgres database {database} at {}", socket.display()),
        None => format!(
            "postgres://{}:{}/{database}",
            options.get_host(),
            options.get_port()
        ),
    }
}

/// Where the writing transaction begins.
enum Begin<'p> {
    Sqlite(&'p SqlitePool),
    Postgres(&'p PgPool),
}

impl Begin<'_> {
    /// Begins; nobody else writes under this name until the end. The lock of PostgreSQL is taken
    /// before anything is read and given back after the commit is seen, so that numbers and the
    /// audit chain have no gaps.
    async fn begin(&self, name: &str) -> Result<Conn, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => Ok(Conn::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres(pool) => {
                let mut conn = Conn::Postgres(pool.begin().await?);
                sql::query("SELECT pg_advisory_xact_lock($1)")
                    .bind(lock_key(name))
                    .execute(&mut conn)
                    .await?;
                Ok(conn)
            }
        }
    }
}

fn lock_key(name: &str) -> i64 {
    let digest = Sha256::digest(format!("{LOCK_NAME}\n{name}"));
    let first = digest.iter().take(8);
    first.fold(0_i64, |key, byte| (key << 8) | i64::from(*byte))
}

async fn raw(conn: &mut Conn, text: String) -> Result<(), sqlx::Error> {
    match conn {
        Conn::Sqlite(tx) => {
            sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut **tx)
                .await?;
        }
        Conn::Postgres(tx) => {
            sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut **tx)
                .await?;
        }
    }
    Ok(())
}

/// A migration as a database reads it. PostgreSQL sorts texts by the language of the database;
/// cursors of pages compare bytes, as SQLite does.
fn dialect(conn: &Conn, text: &str) -> String {
    match conn {
        Conn::Sqlite(_) => text.to_owned(),
        Conn::Postgres(_) => text.replace("TEXT", "TEXT COLLATE \"C\""),
    }
}

/// One version per transaction; a server that comes second waits, and finds it done.
async fn migrate(begin: &Begin<'_>, place: &str) -> Result<(), OpenError> {
    let failed = |version| {
        move |source| OpenError::Migration {
            place: place.to_owned(),
            version,
            source,
        }
    };
    let mut conn = begin.begin("schema").await.map_err(failed(0))?;
    let prelude = match &conn {
        Conn::Sqlite(_) => String::new(),
        Conn::Postgres(_) => format!(";{POSTGRES_PRELUDE}"),
    };
    let table = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    raw(&mut conn, format!("{table}{prelude}"))
        .await
        .map_err(failed(0))?;
    conn.commit().await.map_err(failed(0))?;
    loop {
        let mut conn = begin.begin("schema").await.map_err(failed(0))?;
        let found: i64 = sql::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
            .fetch_one(&mut conn)
            .await
            .map_err(failed(0))?;
        if found > SCHEMA_VERSION {
            return Err(OpenError::Newer {
                place: place.to_owned(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        let next = usize::try_from(found).ok().and_then(|n| MIGRATIONS.get(n));
        let Some(text) = next else {
            return Ok(());
        };
        let version = found + 1;
        let text = dialect(&conn, text);
        raw(&mut conn, text).await.map_err(failed(version))?;
        sql::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version)
            .execute(&mut conn)
            .await
            .map_err(failed(version))?;
        conn.commit().await.map_err(failed(version))?;
    }
}
