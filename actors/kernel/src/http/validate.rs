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

    /// A line of text: trimmed, normalised (NFC), without control characters, line breaks, or characters that
    /// take no room and mean nothing, between `least` and `most` characters, and something to see if `least` is
    /// above zero.
    pub fn line(&mut self, field: &str, text: &str, least: usize, most: usize) -> String {
        let seen: String = text.chars().filter(|c| !is_empty(*c)).collect();
        let text: String = seen.trim().nfc().collect();
        if text.chars().any(is_forbidden) {
            self.fail(field, "characters", "must not contain control characters");
        }
        if least > 0 && is_blank(&text) {
            self.fail(field, "required", "must not be empty");
        } else {
            self.length(field, &text, least, most);
        }
        text
    }

    /// A text of several lines: normalised line ends, no other control characters, and something to see if
    /// `least` is above zero.
    pub fn text(&mut self, field: &str, text: &str, least: usize, most: usize) -> String {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if text.chars().any(|c| c != '\n' && c != '\t' && is_forbidden(c)) {
            self.fail(field, "characters", "must not contain control characters");
        }
        if least > 0 && is_blank(&text) {
            self.fail(field, "required", "must not be empty");
        } else {
            self.length(field, &text, least, most);
        }
        text
    }

    fn length(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length < least {
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

/// Characters that take no room and mean nothing: zero-width spaces, soft hyphens, invisible operators. With
/// them two names look the same that are not. (Joiners are none of them: scripts and emoji need those.)
const fn is_empty(c: char) -> bool {
    matches!(c, '\u{00ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Whether there is nothing to see: spaces, and what is as invisible as they are (joiners and marks of
/// direction by themselves, fillers, the empty pattern of Braille, selectors of variants, tags).
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace()
            || is_empty(c)
            || matches!(c,
                '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
    })
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
        check.line("h", "toolong", 8, 9);
        let problem = check.done().unwrap_err();
        let codes: Vec<_> =
            problem.errors.iter().map(|e| (e.field.as_str(), e.code.as_str())).collect();
        assert_eq!(
            codes,
            [
                ("c", "required"),
                ("d", "too_long"),
                ("e", "characters"),
                ("f", "required"),
                ("h", "too_short")
            ]
        );
    }

    #[test]
    fn what_nobody_sees_is_nothing() {
        let refused = |refuse: &dyn Fn(&mut Check)| {
            let mut check = Check::new();
            refuse(&mut check);
            check.done().unwrap_err().errors[0].code.clone()
        };
        let invisible = [
            "\u{200b}",
            "\u{200d}\u{feff} \u{2060}",
            "\u{3164}",
            "\u{2800}\u{fe0f}",
            "\u{ad}\u{200e}",
        ];
        for nothing in invisible {
            assert_eq!(refused(&|check| drop(check.line("a", nothing, 1, 9))), "required");
            assert_eq!(refused(&|check| drop(check.text("a", nothing, 1, 9))), "required");
        }
        // Where nothing is needed, it is nothing; in between it is left out of names, and not of texts.
        let mut check = Check::new();
        assert_eq!(check.line("a", "\u{200b} \u{feff}", 0, 9), "");
        assert_eq!(check.line("a", "\u{feff} a\u{200b}d\u{ad}a\u{2060} ", 1, 3), "ada");
        assert_eq!(check.text("a", "a\u{200b}b", 1, 3), "a\u{200b}b");
        // A family, and a word of Persian, as they are written.
        for needed in ["👩\u{200d}👧", "می\u{200c}خواهم"] {
            assert_eq!(check.line("a", needed, 1, 9), needed);
        }
        check.done().unwrap();
    }
}
