//! What of an API that was released a newer one breaks.
//!
//! Both are OpenAPI documents. What a client could ask it must still be able to ask, and what it was answered it must still
//! find: a request may be given more freedom and never less, an answer the other way round. Three things may change
//! nevertheless, and clients are told to bear them (`docs/operations.md`): answers get more fields, their enumerations more
//! values, and what was declared deprecated is gone when its sunset is past.

mod operations;
mod schemas;
#[cfg(test)]
mod tests;

use panel_kernel::time::Timestamp;
use serde_json::Value;

/// One promise that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Break {
    /// Where: `POST /api/v2/forum/threads, body.title`.
    pub(crate) at: String,
    /// What is otherwise than it was.
    pub(crate) what: String,
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// What breaks, in order, for who relies on `old` and meets `new`. What could be gone `now` may be.
pub(crate) fn breaks(old: &Value, new: &Value, now: Timestamp) -> Vec<Break> {
    let documents = Documents { old, new };
    let mut found = operations::compared(documents, now);
    found.sort();
    found.dedup();
    found
}

/// The two documents, each of which refers to its own parts.
#[derive(Clone, Copy)]
struct Documents<'a> {
    old: &'a Value,
    new: &'a Value,
}

/// What something is that may be referred to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let referred = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    referred.and_then(|path| document.pointer(path)).unwrap_or(value)
}

/// The fields of an object, none of what is no object.
fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The texts of a list, or the one text that stands for a list of one.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
