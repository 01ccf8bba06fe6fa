//! Logs: JSON lines, or for people on a terminal. They go to stderr through a thread of their
//! own, so that a slow reader of the log never slows a request; if it is far behind, lines
//! are left out.

mod json;
mod sink;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use panel_kernel::time::Clock;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use self::json::{Json, SpanFields};
pub(crate) use self::sink::Logging;
use self::sink::Sink;

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
pub(crate) fn start(log: &LogSection) -> Result<Logging, String> {
    let filter = filter(&log.level)?;
    let failed = |error: &dyn std::fmt::Display| format!("logging can't start: {error}");
    let (sink, logging) = Sink::start(std::io::stderr()).map_err(|error| failed(&error))?;
    let pretty = match log.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink);
    let started = if pretty {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        builder.event_format(Json(Clock::system())).fmt_fields(SpanFields).try_init()
    };
    started.map_err(|error| failed(&error))?;
    std::panic::set_hook(Box::new(tell_of_panic));
    Ok(logging)
}

/// A panic is a line like any other, in the request it happened in.
fn tell_of_panic(info: &PanicHookInfo<'_>) {
    let why = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(target: "panel::panic", why, place, backtrace, "panicked");
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
