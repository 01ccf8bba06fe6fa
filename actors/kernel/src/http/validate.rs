//! Checks of fields, collected so that a client hears of all of them at once.

use unicode_normalization::UnicodeNormalization as _;

use crate::problem::{FieldError, Problem};

/// Collects what is wrong.
#[derive(Debug, Default)]
pub struct Check(Vec<FieldError>);

impl Check {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a mistake.
    pub fn fail(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, code, message));
    }

    /// A line of text: trimmed, normalised (NFC), without control characters or line breaks,
    /// between `least` and `most` characters.
    pub fn line(&mut self, field: &str, text: &str, least: usize, most: usize) -> String {
        let text: String = text.trim().nfc().collect();
        if text.chars().any(is_forbidden) {
            self.fail(field, "characters", "must not contain control characters");
        }
        self.length(field, &text, least, most);
        text
    }

    /// A text of several lines: normalised line ends, no other control characters, not blank
    /// if `least` is above zero.
    pub fn text(&mut self, field: &str, text: &str, least: usize, most: usize) -> String {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if text.chars().any(|c| c != '\n' && c != '\t' && is_forbidden(c)) {
            self.fail(field, "characters", "must not contain control characters");
        }
        let blank = text.trim().is_empty();
        if least > 0 && blank {
            self.fail(field, "required", "must not be empty");
        } else {
            self.length(field, &text, least, most);
        }
        text
    }

    fn length(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length < least && length == 0 {
            self.fail(field, "required", "must not be empty");
        } else if length < least {
            self.fail(field, "too_short", format!("must have at least {least} characters"));
        } else if length > most {
            self.fail(field, "too_long", format!("must have at most {most} characters"));
        }
    }

    /// The verdict.
    ///
    /// # Errors
    /// 422 with everything noted.
    pub fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::validation(self.0)) }
    }
}

/// Control characters, and the invisible ones that reorder or hide text (bidirectional
/// overrides and isolates, "Trojan Source", CVE-2021-42574).
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text from elsewhere, without the characters that no text here may contain.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\r' | '\t') || !is_forbidden(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_collected() {
        let mut check = Check::new();
        assert_eq!(check.line("a", "  x\u{301} ", 1, 10), "x\u{301}");
        assert_eq!(check.line("b", "e\u{301}", 1, 1), "é");
        check.line("c", "", 1, 5);
        check.line("d", "toolong", 1, 5);
        check.line("e", "x\u{202e}y\n", 1, 5);
        check.text("f", " \r\n ", 1, 5);
        assert_eq!(check.text("g", "a\r\nb\tc", 1, 9), "a\nb\tc");
        let problem = check.done().unwrap_err();
        let codes: Vec<_> =
            problem.errors.iter().map(|e| (e.field.as_str(), e.code.as_str())).collect();
        assert_eq!(
            codes,
            [("c", "required"), ("d", "too_long"), ("e", "characters"), ("f", "required")]
        );
    }
}
