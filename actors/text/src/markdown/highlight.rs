//! Colours for code: what is a keyword, a string, a comment, told by classes of a short closed set
//! (`hl-keyword`, …), which a page's style sheet gives colours to.
//!
//! Grammars of programming languages are regular expressions, some of them slow, so what is looked at is
//! bounded by its length, and the rest is plain. What takes long in spite of that is plain as well.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use comrak::adapters::SyntaxHighlighterAdapter;
use rustix::time::{ClockId, clock_gettime};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};
use syntect::util::LinesWithEndings;

use crate::html::escape;

/// What is highlighted of one text, in bytes of code.
const MAX_BYTES: usize = 8 * 1024;
/// A text whose code takes more of a processor is made to take long. What people write takes a few
/// milliseconds. What else the processor does meanwhile does not count: the colours of a text are the same
/// on a machine that is busy. A debug build, which compiles grammars many times slower, has more of it.
const PATIENCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_500 } else { 250 });
/// A longer line is machine-made.
const MAX_LINE_BYTES: usize = 512;

/// What the class of a piece of code can be, after `hl-`.
pub(super) const CLASSES: [&str; 9] =
    ["comment", "string", "number", "constant", "keyword", "type", "function", "variable", "tag"];

/// Scopes, and the class of what is in them. The innermost that has one decides.
const SCOPES: [(&str, &str); 22] = [
    ("comment", "comment"),
    ("string", "string"),
    ("constant.numeric", "number"),
    ("constant.character.escape", "constant"),
    ("constant", "constant"),
    ("keyword.operator", ""),
    ("keyword", "keyword"),
    ("storage.type.function", "keyword"),
    ("storage", "keyword"),
    ("entity.name.function", "function"),
    ("entity.name.tag", "tag"),
    ("entity.name", "type"),
    ("entity.other.attribute-name", "variable"),
    ("entity.other", "type"),
    ("support.function", "function"),
    ("support.type", "type"),
    ("support.class", "type"),
    ("support.constant", "constant"),
    ("variable.function", "function"),
    ("variable.parameter", "variable"),
    ("variable.language", "keyword"),
    ("markup.heading", "keyword"),
];

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);
static BY_SCOPE: LazyLock<Vec<(Scope, &str)>> = LazyLock::new(|| {
    let mut scopes: Vec<(Scope, &str)> = SCOPES
        .iter()
        .filter_map(|(scope, class)| Some((Scope::new(scope).ok()?, *class)))
        .collect();
    // The longest first: `keyword.operator` is no `keyword`.
    scopes.sort_by_key(|(scope, _)| std::cmp::Reverse(scope.len()));
    scopes
});

/// Highlights the code blocks of one text.
#[derive(Debug)]
pub(super) struct Highlighter {
    spent: AtomicUsize,
    /// What this thread had used of a processor by then.
    begun: Duration,
}

/// What this thread has used of a processor.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().unwrap_or_default()
}

impl Highlighter {
    /// For a text that is rendered from now on, by this thread.
    pub(super) fn new() -> Self {
        Self { spent: AtomicUsize::new(0), begun: used() }
    }

    /// The grammar for code that says its language, if there is one and the code is short enough.
    fn syntax(&self, lang: Option<&str>, code: &str) -> Option<&'static SyntaxReference> {
        let lang = lang?.split([',', ' ', '{']).next().filter(|lang| !lang.is_empty())?;
        let syntax = SYNTAXES.find_syntax_by_token(lang)?;
        let spent = self.spent.fetch_add(code.len(), Ordering::Relaxed);
        (spent + code.len() <= MAX_BYTES && syntax.name != "Plain Text").then_some(syntax)
    }
}

impl SyntaxHighlighterAdapter for Highlighter {
    fn write_highlighted(
        &self,
        output: &mut dyn Write,
        lang: Option<&str>,
        code: &str,
    ) -> fmt::Result {
        match self.syntax(lang, code) {
            Some(syntax) => {
                let mut html = String::with_capacity(code.len() * 2);
                // A grammar that does not work costs the colours.
                if highlighted(syntax, code, self.begun, &mut html).is_none() {
                    html.clear();
                    escape(&mut html, code);
                }
                output.write_str(&html)
            }
            None => {
                let mut html = String::with_capacity(code.len() + code.len() / 4);
                escape(&mut html, code);
                output.write_str(&html)
            }
        }
    }

    fn write_pre_tag(
        &self,
        output: &mut dyn Write,
        _: HashMap<&'static str, Cow<'_, str>>,
    ) -> fmt::Result {
        output.write_str("<pre>")
    }

    fn write_code_tag(
        &self,
        output: &mut dyn Write,
        attributes: HashMap<&'static str, Cow<'_, str>>,
    ) -> fmt::Result {
        match attributes.get("class") {
            Some(class) => {
                let mut escaped = String::new();
                escape(&mut escaped, class);
                write!(output, "<code class=\"{escaped}\">")
            }
            None => output.write_str("<code>"),
        }
    }
}

/// Writes `code` with its classes; `None` if its grammar fails, or takes too long.
fn highlighted(
    syntax: &SyntaxReference,
    code: &str,
    begun: Duration,
    html: &mut String,
) -> Option<()> {
    let (mut state, mut stack) = (ParseState::new(syntax), ScopeStack::new());
    let mut open = Open::default();
    let mut is_plain = false;
    for line in LinesWithEndings::from(code) {
        // What comes after a line that was left out can't be told any more.
        is_plain |= line.len() > MAX_LINE_BYTES;
        if is_plain {
            open.write(html, "", line);
            continue;
        }
        if used().saturating_sub(begun) > PATIENCE {
            return None;
        }
        let mut from = 0;
        for (at, change) in state.parse_line(line, &SYNTAXES).ok()? {
            open.write(html, class(&stack), line.get(from..at)?);
            stack.apply(&change).ok()?;
            from = at;
        }
        open.write(html, class(&stack), line.get(from..)?);
    }
    open.close(html);
    Some(())
}

/// The class of the innermost scope that has one.
fn class(stack: &ScopeStack) -> &'static str {
    stack
        .as_slice()
        .iter()
        .rev()
        .find_map(|scope| {
            let found = BY_SCOPE.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope));
            found.map(|(_, class)| *class)
        })
        .unwrap_or_default()
}

/// The class whose element is open, empty for none.
#[derive(Default)]
struct Open(&'static str);

impl Open {
    fn write(&mut self, html: &mut String, class: &'static str, text: &str) {
        if text.is_empty() {
            return;
        }
        // Blanks look the same everywhere.
        if class != self.0 && !text.trim().is_empty() {
            self.close(html);
            if !class.is_empty() {
                html.push_str("<span class=\"hl-");
                html.push_str(class);
                html.push_str("\">");
            }
            self.0 = class;
        }
        escape(html, text);
    }

    fn close(&mut self, html: &mut String) {
        if !self.0.is_empty() {
            html.push_str("</span>");
            self.0 = "";
        }
    }
}
