//! Pages of a list: a cursor names the last row seen, so that rows added meanwhile neither
//! repeat nor hide any.

/// Largest page.
const LIMIT_MAX: u32 = 1_000;

/// Page when none is asked for.
const LIMIT_DEFAULT: u32 = 100;

/// The last row seen: its sort value, its time, its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) primary: i64,
    pub(crate) secondary: i64,
    pub(crate) id: String,
}

/// A text that is no cursor of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list; take it from the field 'next' of the page before")]
pub struct InvalidCursor;

impl Cursor {
    /// The opaque text for the caller.
    pub fn encode(&self) -> String {
        hex::encode(format!("{}|{}|{}", self.primary, self.secondary, self.id))
    }

    /// Reads the opaque text.
    ///
    /// # Errors
    /// [`InvalidCursor`].
    pub fn decode(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = hex::decode(text).map_err(|_| InvalidCursor)?;
        let plain = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let mut parts = plain.splitn(3, '|');
        let mut next = || parts.next().ok_or(InvalidCursor);
        let primary = next()?.parse().map_err(|_| InvalidCursor)?;
        let secondary = next()?.parse().map_err(|_| InvalidCursor)?;
        Ok(Self {
            primary,
            secondary,
            id: next()?.to_owned(),
        })
    }
}

/// Which page is asked for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// After this row; from the start when absent.
    pub after: Option<Cursor>,
    limit: u32,
}

impl PageRequest {
    /// Builds a request; the limit is held between 1 and 1,000 and is 100 when absent.
    pub fn new(after: Option<Cursor>, limit: Option<u32>) -> Self {
        Self {
            after,
            limit: limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX),
        }
    }

    /// Rows of a page.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// One more than the page, to learn whether there is another.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// One page.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts, if there is one.
    pub next: Option<Cursor>,
    /// Rows of the whole list.
    pub total: u64,
}

impl<T> Page<T> {
    /// Cuts what was fetched to the page.
    pub(crate) fn cut(
        mut items: Vec<T>,
        request: &PageRequest,
        total: u64,
        cursor: impl Fn(&T) -> Cursor,
    ) -> Self {
        let limit = request.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_round_trip_and_nonsense() {
        let cursor = Cursor {
            primary: -3,
            secondary: 9,
            id: "a|b".to_owned(),
        };
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        for bad in ["", "zz", "00", "317c32"] {
            assert_eq!(Cursor::decode(bad), Err(InvalidCursor), "{bad}");
        }
    }
}
