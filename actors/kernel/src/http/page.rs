//! Pages of lists: a limit, a cursor, and the cursor of the next page.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::Cursors;
use crate::ids::Id;
use crate::problem::{Kind, Problem};

/// Items on a page where the client does not say.
const DEFAULT_LIMIT: u32 = 20;
/// The most items on a page.
const MAX_LIMIT: u32 = 100;

/// The most bytes of text, as JSON has it, on a page of a list whose items may be long. With all
/// that is around the texts such a page still fits into one message.
pub const MAX_PAGE_BYTES: usize = 512 * 1024;

/// How many bytes a text takes in JSON, its quotes left out.
#[must_use]
pub fn json_bytes(text: &str) -> usize {
    let more = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

/// The key of the last row to read for a page, of rows whose lengths are known before they are read: the
/// one with which there are too many bytes, or the last.
#[must_use]
pub fn last_that_fits(lengths: &[(i64, i64)]) -> Option<i64> {
    let mut sum = 0;
    let most = i64::try_from(MAX_PAGE_BYTES).unwrap_or(i64::MAX);
    let beyond = lengths.iter().skip(1).find(|(_, bytes)| {
        sum += bytes;
        sum > most
    });
    beyond.or(lengths.last()).map(|(key, _)| *key)
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Listing<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Listing<T> {
    /// The page out of one item more than fits, which tells whether there is another page.
    #[must_use]
    pub fn from_excess(items: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> String) -> Self {
        Self::within_bytes(items, limit, |_| 0, cursor)
    }

    /// The same for items that may be long: the page ends before they have more than
    /// [`MAX_PAGE_BYTES`] together, but not before the first. Where that is sooner than at the
    /// limit, the one that does not fit is the item more.
    #[must_use]
    pub fn within_bytes(
        mut items: Vec<T>,
        limit: u32,
        bytes: impl Fn(&T) -> usize,
        cursor: impl FnOnce(&T) -> String,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut sum = 0_usize;
        let fitting = items.iter().take(limit).take_while(|item| {
            sum = sum.saturating_add(bytes(item));
            sum <= MAX_PAGE_BYTES
        });
        let fits = fitting.count().max(1);
        let more = items.len() > fits;
        items.truncate(fits);
        let next_cursor = if more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }

    /// The same page with its items made into something else.
    #[must_use]
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Listing<U> {
        Listing { items: self.items.into_iter().map(make).collect(), next_cursor: self.next_cursor }
    }
}

/// The query string of a list that takes nothing else.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1 to 100; 20 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    /// Checks it.
    ///
    /// # Errors
    /// 422 for a limit that is no number or out of bounds.
    pub fn checked(self) -> Result<PageRequest, Problem> {
        PageRequest::parse(self.limit.as_deref(), self.cursor)
    }

    /// Checks it, for the list called `scope` that goes by id, the newest first.
    ///
    /// # Errors
    /// 422 for the limit, 400 for a cursor that this list did not give.
    pub fn newest_first(
        self,
        cursors: &Cursors,
        scope: impl Into<String>,
    ) -> Result<NewestFirst<'_>, Problem> {
        let (page, scope) = (self.checked()?, scope.into());
        let [before] = page.after(cursors, &scope)?.unwrap_or([i64::MAX]);
        Ok(NewestFirst { cursors, scope, page, before })
    }
}

/// A page of a list that goes by id, the newest first.
#[derive(Clone, Debug)]
pub struct NewestFirst<'a> {
    cursors: &'a Cursors,
    scope: String,
    page: PageRequest,
    /// Only what is older than this id.
    pub before: i64,
}

impl NewestFirst<'_> {
    /// How many rows to fetch: one more than fits.
    #[must_use]
    pub const fn fetch(&self) -> i64 {
        self.page.fetch()
    }

    /// The page out of the rows that were fetched.
    #[must_use]
    pub fn listing<T>(&self, rows: Vec<T>, id: impl Fn(&T) -> Id) -> Listing<T> {
        self.listing_within_bytes(rows, |_| 0, id)
    }

    /// The same of rows that may be long ([`Listing::within_bytes`]).
    #[must_use]
    pub fn listing_within_bytes<T>(
        &self,
        rows: Vec<T>,
        bytes: impl Fn(&T) -> usize,
        id: impl Fn(&T) -> Id,
    ) -> Listing<T> {
        let cursor = |row: &T| self.cursors.encode(&self.scope, &[id(row).raw()]);
        Listing::within_bytes(rows, self.page.limit, bytes, cursor)
    }
}

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items, 1 to 100.
    pub limit: u32,
    /// After which one.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// Checks what the query string said.
    ///
    /// # Errors
    /// 422 for a limit that is no number or out of bounds.
    pub fn parse(limit: Option<&str>, cursor: Option<String>) -> Result<Self, Problem> {
        match limit.map_or(Ok(DEFAULT_LIMIT), str::parse) {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self { limit, cursor }),
            _ => {
                let message = format!("must be a number from 1 to {MAX_LIMIT}");
                Err(Problem::field("limit", "out_of_range", message))
            }
        }
    }

    /// The sort key after which the page begins; `None` for the first page.
    ///
    /// # Errors
    /// 400 for a cursor that this list did not give.
    pub fn after<const N: usize>(
        &self,
        cursors: &Cursors,
        scope: &str,
    ) -> Result<Option<[i64; N]>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let key = cursors.decode(scope, cursor);
        key.map(Some).map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))
    }

    /// How many rows to fetch: one more than fits.
    #[must_use]
    pub const fn fetch(&self) -> i64 {
        self.limit as i64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds() {
        assert_eq!(PageRequest::parse(None, None).unwrap().limit, 20);
        assert_eq!(PageRequest::parse(Some("100"), None).unwrap().fetch(), 101);
        for bad in ["0", "101", "-1", "", "x", "1.5", "99999999999999999999"] {
            assert_eq!(PageRequest::parse(Some(bad), None).unwrap_err().errors[0].field, "limit");
        }
    }

    #[test]
    fn the_excess_item_makes_the_cursor() {
        let page = Listing::from_excess(vec![1, 2, 3], 2, ToString::to_string);
        assert_eq!((page.items, page.next_cursor), (vec![1, 2], Some("2".to_owned())));
        let page = Listing::from_excess(vec![1, 2], 2, ToString::to_string);
        assert_eq!((page.items, page.next_cursor), (vec![1, 2], None));
        let page = Listing::from_excess(Vec::<u8>::new(), 2, ToString::to_string);
        assert_eq!((page.items, page.next_cursor), (Vec::new(), None));
    }

    #[test]
    fn a_page_is_read_to_the_row_that_is_too_much() {
        let half = i64::try_from(MAX_PAGE_BYTES).unwrap() / 2;
        assert_eq!(last_that_fits(&[]), None);
        assert_eq!(last_that_fits(&[(3, 10 * half)]), Some(3));
        assert_eq!(last_that_fits(&[(1, 1), (2, half), (3, half), (4, 1), (5, 1)]), Some(4));
        assert_eq!(last_that_fits(&[(1, 1), (2, 1), (3, 1)]), Some(3));
    }

    #[test]
    fn texts_are_as_long_as_in_json() {
        let controls: String = (0..0x80_u8).map(char::from).collect();
        for text in ["", "plain", "\\n \" \\ \n\r\t", "\u{7f}é漢🦀</script>", &controls] {
            assert_eq!(
                json_bytes(text),
                serde_json::to_string(text).unwrap().len() - 2,
                "{text:?}"
            );
        }
    }

    #[test]
    fn long_items_end_a_page_but_never_before_the_first() {
        let page = |sizes: &[usize]| {
            let page = Listing::within_bytes(sizes.to_vec(), 3, |size| *size, ToString::to_string);
            (page.items.len(), page.next_cursor.is_some())
        };
        let (half, all) = (MAX_PAGE_BYTES / 2, MAX_PAGE_BYTES);
        assert_eq!(page(&[half, half]), (2, false));
        assert_eq!(page(&[half, half, 1]), (2, true));
        assert_eq!(page(&[all + 1, 1]), (1, true));
        assert_eq!(page(&[all + 1]), (1, false));
        assert_eq!(page(&[1, all]), (1, true));
        assert_eq!(page(&[1, 1, 1, 1]), (3, true));
    }
}
