//! One text of SQL for two databases: SQLite and PostgreSQL.
//!
//! Repositories write `$1`, `$2` … and read columns by name; which database answers is known only
//! here. sqlx's own `Any` was left out: it knows neither statement caching per database nor the
//! errors of each (`docs/adr/0018`).

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::marker::PhantomData;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Error, Postgres, Row as _, Sqlite, Transaction};

/// What a question is asked with; PostgreSQL wants to know the type of a NULL.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
}

macro_rules! value_from {
    ($($from:ty: $value:ident => $into:expr),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        })+
    };
}

value_from! {
    &str: text => Self::Text(Some(text.to_owned())),
    &&str: text => Self::Text(Some((*text).to_owned())),
    String: text => Self::Text(Some(text)),
    &String: text => Self::Text(Some(text.clone())),
    Option<&str>: text => Self::Text(text.map(str::to_owned)),
    Option<String>: text => Self::Text(text),
    &Option<String>: text => Self::Text(text.clone()),
    i64: number => Self::Int(Some(number)),
    Option<i64>: number => Self::Int(number),
}

/// PostgreSQL has no NUL in texts; events may. What is looked for is changed in the same way.
fn without_nul(text: Option<String>) -> Option<String> {
    text.map(|text| match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    })
}

/// A type that columns of both databases are read as.
pub(crate) trait Column<'r>:
    sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite> + sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>
{
}

impl<'r, T> Column<'r> for T where
    T: sqlx::Decode<'r, Sqlite>
        + sqlx::Type<Sqlite>
        + sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>
{
}

/// A row of an answer.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A column by its name.
    pub(crate) fn try_get<'r, T: Column<'r>>(&'r self, column: &str) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    fn first<'r, T: Column<'r>>(&'r self) -> Result<T, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(0),
            Self::Postgres(row) => row.try_get(0),
        }
    }
}

/// A transaction that is open; dropped, it changes nothing.
#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Conn {
    pub(crate) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => in_time(tx.commit()).await,
        }
    }
}

/// Who is asked: an open transaction, or any connection.
pub(crate) enum Target<'t> {
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut PgConnection),
    SqlitePool(&'t SqlitePool),
    PostgresPool(&'t PgPool),
}

impl<'t> From<&'t mut Conn> for Target<'t> {
    fn from(conn: &'t mut Conn) -> Self {
        match conn {
            Conn::Sqlite(tx) => Self::Sqlite(tx),
            Conn::Postgres(tx) => Self::Postgres(tx),
        }
    }
}

/// A question with its values.
#[derive(Debug)]
pub(crate) struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A question.
pub(crate) const fn query(text: &'static str) -> Query {
    Query {
        text: Cow::Borrowed(text),
        values: Vec::new(),
    }
}

/// A question for the first column.
pub(crate) const fn query_scalar<T>(text: &'static str) -> Scalar<T> {
    Scalar {
        query: query(text),
        kind: PhantomData,
    }
}

type SqliteQuery = sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments>;
type PostgresQuery = sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments>;

fn sqlite(query: Query) -> SqliteQuery {
    let bare = sqlx::query::<Sqlite>(AssertSqlSafe(query.text));
    query
        .values
        .into_iter()
        .fold(bare, |asked, value| match value {
            Value::Text(text) => asked.bind(text),
            Value::Int(number) => asked.bind(number),
        })
}

fn postgres(query: Query) -> PostgresQuery {
    let bare = sqlx::query::<Postgres>(AssertSqlSafe(query.text));
    query
        .values
        .into_iter()
        .fold(bare, |asked, value| match value {
            Value::Text(text) => asked.bind(without_nul(text)),
            Value::Int(number) => asked.bind(number),
        })
}

/// How long PostgreSQL may take to answer one statement: a server whose network went away without
/// a word answers never.
const ANSWER_LIMIT: Duration = Duration::from_secs(65);

async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

impl Query {
    /// The next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; gives how many rows it changed.
    pub(crate) async fn execute<'t>(self, target: impl Into<Target<'t>>) -> Result<Done, Error> {
        let rows = match target.into() {
            Target::Sqlite(one) => sqlite(self).execute(one).await?.rows_affected(),
            Target::Postgres(one) => in_time(postgres(self).execute(one)).await?.rows_affected(),
            Target::SqlitePool(one) => sqlite(self).execute(one).await?.rows_affected(),
            Target::PostgresPool(one) => {
                in_time(postgres(self).execute(one)).await?.rows_affected()
            }
        };
        Ok(Done { rows })
    }

    /// All rows.
    pub(crate) async fn fetch_all<'t>(
        self,
        target: impl Into<Target<'t>>,
    ) -> Result<Vec<Row>, Error> {
        let of_sqlite = |rows: Vec<SqliteRow>| rows.into_iter().map(Row::Sqlite).collect();
        let of_postgres = |rows: Vec<PgRow>| rows.into_iter().map(Row::Postgres).collect();
        Ok(match target.into() {
            Target::Sqlite(one) => of_sqlite(sqlite(self).fetch_all(one).await?),
            Target::Postgres(one) => of_postgres(in_time(postgres(self).fetch_all(one)).await?),
            Target::SqlitePool(one) => of_sqlite(sqlite(self).fetch_all(one).await?),
            Target::PostgresPool(one) => of_postgres(in_time(postgres(self).fetch_all(one)).await?),
        })
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'t>(
        self,
        target: impl Into<Target<'t>>,
    ) -> Result<Option<Row>, Error> {
        Ok(match target.into() {
            Target::Sqlite(one) => sqlite(self).fetch_optional(one).await?.map(Row::Sqlite),
            Target::Postgres(one) => {
                let row = in_time(postgres(self).fetch_optional(one)).await?;
                row.map(Row::Postgres)
            }
            Target::SqlitePool(one) => sqlite(self).fetch_optional(one).await?.map(Row::Sqlite),
            Target::PostgresPool(one) => {
                let row = in_time(postgres(self).fetch_optional(one)).await?;
                row.map(Row::Postgres)
            }
        })
    }

    /// The first row, which must be there.
    pub(crate) async fn fetch_one<'t>(self, target: impl Into<Target<'t>>) -> Result<Row, Error> {
        self.fetch_optional(target).await?.ok_or(Error::RowNotFound)
    }
}

/// What a change did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    rows: u64,
}

impl Done {
    /// Rows that were changed.
    pub(crate) const fn rows_affected(self) -> u64 {
        self.rows
    }
}

/// A question for the first column.
#[derive(Debug)]
pub(crate) struct Scalar<T> {
    query: Query,
    kind: PhantomData<fn() -> T>,
}

impl<T: for<'r> Column<'r>> Scalar<T> {
    /// The next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// The first column of all rows.
    pub(crate) async fn fetch_all<'t>(
        self,
        target: impl Into<Target<'t>>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.query.fetch_all(target).await?;
        rows.iter().map(Row::first).collect()
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn fetch_optional<'t>(
        self,
        target: impl Into<Target<'t>>,
    ) -> Result<Option<T>, Error> {
        let row = self.query.fetch_optional(target).await?;
        row.as_ref().map(Row::first).transpose()
    }

    /// The first column of the first row, which must be there.
    pub(crate) async fn fetch_one<'t>(self, target: impl Into<Target<'t>>) -> Result<T, Error> {
        self.query.fetch_one(target).await?.first()
    }
}

/// A question that is put together from parts. What people and events say goes in by
/// [`Builder::push_bind`] alone.
#[derive(Debug)]
pub(crate) struct Builder {
    text: String,
    values: Vec<Value>,
}

impl Builder {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds text of this program.
    pub(crate) fn push(&mut self, part: impl Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{part}");
        self
    }

    /// Adds a value.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let number = self.values.len();
        self.push(format_args!("${number}"))
    }

    /// Adds values with commas between them.
    pub(crate) fn push_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) {
        for (number, value) in values.into_iter().enumerate() {
            if number > 0 {
                self.push(", ");
            }
            self.push_bind(value);
        }
    }

    /// The text alone, of a part that has no values.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The question.
    pub(crate) fn build(self) -> Query {
        Query {
            text: Cow::Owned(self.text),
            values: self.values,
        }
    }

    /// The question for the first column.
    pub(crate) fn build_query_scalar<T>(self) -> Scalar<T> {
        Scalar {
            query: self.build(),
            kind: PhantomData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbered_in_order() {
        let mut query = Builder::new("SELECT 1 WHERE a = ");
        query.push_bind("x").push(" AND b IN (");
        query.push_list([1_i64, 2]);
        query.push(") AND c = ").push_bind(None::<i64>);
        let built = query.build();
        assert_eq!(
            built.text,
            "SELECT 1 WHERE a = $1 AND b IN ($2, $3) AND c = $4"
        );
        assert_eq!(built.values.len(), 4);
    }
}
