//! What a service has of one person, told to that person (GDPR, articles 15 and 20): each service says
//! in a table what that is, and answers it page by page to whoever puts it together.
//!
//! | file | |
//! |---|---|
//! | `records` | what a service declares, and reading it |
//! | `routes` | the answering side: routes that services have for each other |
//! | `asking` | the asking side |

mod asking;
mod records;
mod routes;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use asking::Asking;
pub use records::{Column, Person, Records};
pub(crate) use routes::routes;

/// Where every service answers what it has of somebody. Not reachable from outside.
const PATH: &str = "/.panel/personal-data";

/// The kinds of records a service has.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kinds {
    /// Their names, in the order in which they are to be asked for.
    pub kinds: Vec<String>,
}

/// Some of the records of a kind.
#[derive(Debug, Serialize, Deserialize)]
pub struct Page {
    /// The records, each a JSON object.
    pub records: Vec<Box<RawValue>>,
    /// After which the next page begins; `None` if this was the last.
    pub after: Option<i64>,
}
