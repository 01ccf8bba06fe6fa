//! Rows that travel in one cell.
//!
//! On SQLite every cell is copied on its own on its way between threads, and lists are what the
//! forum answers most: rows of ten cells give half the lists per second of rows of three
//! (`docs/adr/0003-database-access.md`). So the columns of a row are put together by the
//! database, one per line, and taken apart here. None of them may contain a line break.

use std::str::Split;

use panel_kernel::data::DbError;
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// One column of SQL out of several. Each must be other than NULL.
macro_rules! packed {
    ($first:expr $(, $rest:expr)* $(,)?) => {
        concat!($first $(, " || '\n' || ", $rest)*)
    };
}

/// Takes a packed column apart, in the order in which it was put together.
#[derive(Debug)]
pub(in crate::store) struct Fields<'a>(Split<'a, char>);

impl<'a> Fields<'a> {
    /// From the beginning.
    pub(in crate::store) fn of(cell: &'a str) -> Self {
        Self(cell.split('\n'))
    }

    /// The next text.
    pub(in crate::store) fn text(&mut self) -> Result<&'a str, DbError> {
        self.0.next().ok_or_else(|| broken("a field is missing"))
    }

    /// All that is left, which may have lines.
    pub(in crate::store) fn rest(&mut self) -> String {
        let rest: Vec<&str> = self.0.by_ref().collect();
        rest.join("\n")
    }

    /// The next number.
    pub(in crate::store) fn int(&mut self) -> Result<i64, DbError> {
        self.text()?.parse().map_err(|_| broken("a field is no number"))
    }

    /// The next number, or nothing where the text is empty.
    pub(in crate::store) fn optional(&mut self) -> Result<Option<i64>, DbError> {
        match self.text()? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| broken("a field is no number")),
        }
    }

    /// The next flag.
    pub(in crate::store) fn flag(&mut self) -> Result<bool, DbError> {
        Ok(self.int()? != 0)
    }

    /// The next identifier.
    pub(in crate::store) fn id(&mut self) -> Result<Id, DbError> {
        self.int().map(Id::from_raw)
    }

    /// The next moment.
    pub(in crate::store) fn time(&mut self) -> Result<Timestamp, DbError> {
        self.int().map(Timestamp::from_micros)
    }
}

fn broken(why: &str) -> DbError {
    DbError::Fault(sqlx::Error::Decode(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order() {
        assert_eq!(packed!("a", "b"), "a || '\n' || b");
        let mut fields = Fields::of("7\n\n1\n-5\nx y\n");
        assert_eq!(fields.id().unwrap(), Id::from_raw(7));
        assert_eq!(fields.optional().unwrap(), None);
        assert!(fields.flag().unwrap());
        assert_eq!(fields.optional().unwrap(), Some(-5));
        assert!(fields.int().is_err());
        assert_eq!(fields.text().unwrap(), "");
        assert!(fields.text().is_err());
        let mut fields = Fields::of("7\nx\n\ny");
        assert_eq!(fields.int().unwrap(), 7);
        assert_eq!(fields.rest(), "x\n\ny");
    }
}
