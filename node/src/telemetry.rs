//! Logs: JSON lines, or for people on a terminal. They go to stderr through a thread of their
//! own, so that a slow reader of the log never slows a request; if it is far behind, lines
//! are left out.

use std::io::IsTerminal as _;

use serde::{Deserialize, Serialize};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait to be written; bounds memory.
const WAITING_LINES: usize = 16_384;
/// Libraries that tell more than an operator wants to hear at our own level.
const QUIET: [&str; 5] =
    ["ractor=warn", "ractor_cluster=warn", "sqlx=warn", "hyper=warn", "h2=warn"];

/// The `[log]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSection {
    /// `json`, `pretty`, or `auto`: pretty on a terminal.
    pub(crate) format: LogFormat,
    /// A level or a filter.
    pub(crate) level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Pretty,
}

/// Whether `level` is a level or a filter.
pub(crate) fn check(level: &str) -> Result<(), String> {
    filter(level).map(|_| ())
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    let text = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        let own: tracing::Level = level
            .parse()
            .map_err(|_| format!("{level:?} is not error, warn, info, debug, trace or a filter"))?;
        format!("{},{own}", QUIET.join(","))
    };
    EnvFilter::builder().parse(&text).map_err(|error| format!("{level:?}: {error}"))
}

/// Starts logging; ends, with everything written, when the guard is dropped.
pub(crate) fn start(log: &LogSection) -> Result<WorkerGuard, String> {
    let filter = filter(&log.level)?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .finish(std::io::stderr());
    let pretty = match log.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = if pretty {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    started.map(|()| guard).map_err(|error| format!("logging can't start: {error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn levels_and_filters() {
        for good in ["info", "DEBUG", "warn,panel_forum=trace"] {
            assert!(super::check(good).is_ok(), "{good}");
        }
        for bad in ["loud", "", "a=b=c"] {
            assert!(super::check(bad).is_err(), "{bad:?}");
        }
    }
}
