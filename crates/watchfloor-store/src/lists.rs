//! What tables of numbered or named records have in common: one row by its id, and pages of the
//! newest first.

use crate::actions::number_of;
use crate::row::unsigned;
use crate::sql::{Builder, Row};
use crate::{Cursor, Page, PageRequest, Queries, StoreError};

impl Queries<'_> {
    /// The row of a table that has an id.
    ///
    /// # Errors
    /// [`StoreError::Missing`], in which `kind` stands, and others.
    pub(crate) async fn row_of(
        &mut self,
        table: &'static str,
        kind: &'static str,
        id: &str,
    ) -> Result<Row, StoreError> {
        let mut query = Builder::new(&format!("SELECT * FROM {table} WHERE tenant = "));
        query
            .push_bind(self.tenant)
            .push(" AND id = ")
            .push_bind(id);
        let row = query.build().fetch_optional(&mut *self.conn).await?;
        row.ok_or_else(|| StoreError::Missing {
            kind,
            id: id.to_owned(),
        })
    }

    /// A page of a table whose rows have a `number`, the highest first, with the exact total of
    /// those that `narrow` leaves. Ids end with the number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn numbered_page<T>(
        &mut self,
        table: &'static str,
        narrow: impl Fn(&mut Builder),
        read: fn(&Row) -> Result<T, StoreError>,
        id: fn(&T) -> String,
        page: &PageRequest,
    ) -> Result<Page<T>, StoreError> {
        let begin = |what: &str, tenant: &str| {
            let mut query = Builder::new(&format!("SELECT {what} FROM {table} WHERE tenant = "));
            query.push_bind(tenant);
            narrow(&mut query);
            query
        };
        let count = begin("COUNT(*)", self.tenant);
        let total: i64 = count
            .build_query_scalar()
            .fetch_one(&mut *self.conn)
            .await?;
        let mut query = begin("*", self.tenant);
        let after = page.after.as_ref();
        query
            .push(" AND number < ")
            .push_bind(after.map_or(i64::MAX, |cursor| cursor.primary));
        query
            .push(" ORDER BY number DESC LIMIT ")
            .push_bind(page.fetch());
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let total = unsigned("count", total)?;
        Ok(Page::cut(items, page, total, |item| {
            let id = id(item);
            Cursor {
                primary: number_of(table, &id).unwrap_or_default(),
                secondary: 0,
                id,
            }
        }))
    }
}
