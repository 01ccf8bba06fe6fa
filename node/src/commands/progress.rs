//! How far a command is that takes a while.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// Where nobody looks, a line so often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far something is, on a terminal as a bar.
pub(super) struct Shown {
    what: &'static str,
    bar: ProgressBar,
    said: std::cell::Cell<Instant>,
}

impl Shown {
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(total.unwrap_or(0))
        } else {
            ProgressBar::hidden()
        };
        let form = "{bar:40} {human_pos} of {human_len} {msg}, {elapsed_precise}, {eta} to go";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.set_length(total.unwrap_or(0));
        Self { what, bar, said: std::cell::Cell::new(Instant::now()) }
    }

    pub(super) fn of(&self, total: u64) {
        self.bar.set_length(total);
    }

    pub(super) fn at(&self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.said.get().elapsed() >= LINE_EVERY {
            self.said.set(Instant::now());
            let of = match self.bar.length() {
                Some(total) if total > 0 => format!(" of {total}"),
                _ => String::new(),
            };
            say(format_args!("{done}{of} {}", self.what));
        }
    }

    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
