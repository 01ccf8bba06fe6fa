//! Records, as a service declares them: a statement, and what its columns are.

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::Page;
use crate::data::{Conn, DbError, Value, sql};
use crate::http::MAX_PAGE_BYTES;
use crate::ids::Id;
use crate::role::Role;
use crate::time::Timestamp;

/// Rows that are read for a page, of which as many as have room in a message make it. Where each is as long as
/// a post may be, they are 4 MiB.
const ROWS: i64 = 32;

/// One kind of records that a service has of people.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// Its name: `posts`. That of a file in what is put together.
    pub name: &'static str,
    /// Selects the records of the person `$1` that come after `$2`, `$3` at most, by the first column,
    /// which is a number and ascends. It must find them by an index.
    pub select: &'static str,
    /// As what the statement knows people.
    pub person: Person,
    /// Its columns, in order, by the names they are told under.
    pub columns: &'static [(&'static str, Column)],
}

/// As what `$1` is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// The id of the account, a number.
    Id,
    /// The same as a text, as it is shown.
    Text,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A place in the order of the records, and of no use to anybody: not told.
    Position,
    /// An id.
    Id,
    /// A text.
    Text,
    /// A moment, in microseconds since the epoch.
    Time,
    /// A number.
    Number,
    /// 0 or 1.
    Flag,
    /// A rank, as a number.
    Role,
    /// JSON, in a text.
    Json,
    /// Of a JSON object, in a text, these fields and no others.
    Fields(&'static [&'static str]),
}

impl Column {
    fn told(self, value: Value) -> Json {
        let number = |told: fn(i64) -> Json| match value {
            Value::Int(Some(number)) => told(number),
            _ => Json::Null,
        };
        match self {
            Self::Position | Self::Number => number(Json::from),
            Self::Id => number(|id| Id::from_raw(id).to_string().into()),
            Self::Time => number(|time| Timestamp::from_micros(time).to_string().into()),
            Self::Flag => number(|flag| (flag != 0).into()),
            Self::Role => number(|level| {
                Role::from_level(level).map_or(Json::Null, |role| role.to_string().into())
            }),
            Self::Text => match value {
                Value::Text(Some(text)) => text.into(),
                _ => Json::Null,
            },
            Self::Fields(names) => match Self::Json.told(value) {
                Json::Object(mut fields) => {
                    fields.retain(|name, _| names.contains(&name.as_str()));
                    fields.into()
                }
                _ => Json::Null,
            },
            Self::Json => match value {
                Value::Text(Some(text)) => serde_json::from_str(&text).unwrap_or(Json::Null),
                _ => Json::Null,
            },
        }
    }
}

impl Records {
    /// The records of a person after `after`, as many as have room.
    pub(super) async fn page(
        &self,
        conn: &mut Conn,
        person: Id,
        after: i64,
    ) -> Result<Page, DbError> {
        let statement = match self.person {
            Person::Id => sql(self.select).bind(person),
            Person::Text => sql(self.select).bind(person.to_string()),
        };
        let rows: Vec<Vec<Value>> = conn.all(statement.bind(after).bind(ROWS)).await?;
        let may_be_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= ROWS;
        let (mut page, mut bytes) = (Page { records: Vec::new(), after: None }, 0);
        for row in rows {
            let Some(Value::Int(Some(position))) = row.first() else { continue };
            let position = *position;
            let Some(record) = self.record(row) else { continue };
            bytes += record.get().len();
            if bytes > MAX_PAGE_BYTES && !page.records.is_empty() {
                return Ok(page);
            }
            page.records.push(record);
            page.after = Some(position);
        }
        if !may_be_more {
            page.after = None;
        }
        Ok(page)
    }

    fn record(&self, row: Vec<Value>) -> Option<Box<RawValue>> {
        let told =
            self.columns.iter().zip(row).filter(|((_, column), _)| *column != Column::Position);
        let record: Map<String, Json> =
            told.map(|((name, column), value)| ((*name).to_owned(), column.told(value))).collect();
        serde_json::value::to_raw_value(&record).ok()
    }
}
