//! Statements that are put together piece by piece, where filters say which pieces.

use super::{Statement, Value};

/// A statement with its values, so far.
#[derive(Debug, Default)]
pub struct Composed {
    text: String,
    values: Vec<Value>,
}

impl Composed {
    /// One that begins with values to which a piece refers by their numbers.
    pub fn beginning(values: impl IntoIterator<Item = Value>) -> Self {
        Self { text: String::new(), values: values.into_iter().collect() }
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: &str) {
        self.text += piece;
    }

    /// Adds a piece in which each `$` stands for the next of `values`, which are as many.
    pub fn with(&mut self, piece: &str, values: impl IntoIterator<Item = Value>) {
        let mut values = values.into_iter();
        for (at, part) in piece.split('$').enumerate() {
            if at > 0 {
                self.values.extend(values.next());
                self.text.push('$');
                self.text += &self.values.len().to_string();
            }
            self.text += part;
        }
    }

    /// All of it.
    pub fn done(self) -> Statement {
        self.values.into_iter().fold(Statement::composed(self.text), Statement::bind)
    }
}

impl From<&str> for Composed {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_the_next_value() {
        let mut text = Composed::default();
        text.with("a = $ AND b < $", [1_i64.into(), 2_i64.into()]);
        text.add(" AND c");
        text.with(" = $", ["x".into()]);
        assert_eq!((text.text.as_str(), text.values.len()), ("a = $1 AND b < $2 AND c = $3", 3));
    }
}
