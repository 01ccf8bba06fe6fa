//! Statements that grow with what is asked of them.

use panel_kernel::data::{Statement, Value};

/// A statement that grows with what is asked of it.
pub(super) struct Growing {
    pub(super) text: String,
    values: Vec<Value>,
}

impl Growing {
    /// One that begins so.
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Adds a condition, in which `$` stands for this value's place.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let place = format!("${}", self.values.len());
        self.text.push_str(&condition.replace('$', &place));
    }

    /// All of it.
    pub(super) fn statement(self) -> Statement {
        self.values.into_iter().fold(Statement::composed(self.text), Statement::bind)
    }
}
