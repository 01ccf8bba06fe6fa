//! A log line as JSON: time, level, target, the event's own fields, and those of the request it
//! belongs to, side by side.

use std::fmt;

use panel_kernel::time::Clock;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events, one object per line.
#[derive(Debug)]
pub(super) struct Json(pub(super) Clock);

/// Writes a span's fields, once, in the form in which they are put into each of its events.
#[derive(Debug)]
pub(super) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut members = Members { writer, result: Ok(()) };
        fields.record(&mut members);
        members.result
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        write!(writer, "{}", self.0.now())?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_char('"')?;
        let mut members = Members { writer, result: Ok(()) };
        members.result = members.plain("target", event.metadata().target());
        event.record(&mut members);
        members.result?;
        let mut writer = members.writer;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                writer.write_str(&fields.fields)?;
            }
        }
        writer.write_str("}\n")
    }
}

/// The members of an object, each with the comma before it.
struct Members<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Members<'_> {
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.result.is_ok() {
            self.result = self.try_member(name, value);
        }
    }

    fn try_member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> fmt::Result {
        self.name(name)?;
        serde_json::to_writer(Fragments(&mut self.writer), value).map_err(|_| fmt::Error)
    }

    /// Names are identifiers of the program: nothing in them needs an escape.
    fn name(&mut self, name: &str) -> fmt::Result {
        self.writer.write_str(",\"")?;
        self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
        self.writer.write_str("\":")
    }

    /// A text in which nothing needs an escape, as nearly all are.
    fn plain(&mut self, name: &str, text: &str) -> fmt::Result {
        self.name(name)?;
        self.writer.write_char('"')?;
        self.writer.write_str(text)?;
        self.writer.write_char('"')
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        if value.bytes().any(needs_escape) {
            self.member(field.name(), value);
        } else if self.result.is_ok() {
            self.result = self.plain(field.name(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field.name(), &format!("{value:?}"));
    }
}

/// Lets serde write to a formatter: it writes whole fragments of UTF-8.
struct Fragments<'a, 'w>(&'a mut Writer<'w>);

impl std::io::Write for Fragments<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        self.0.write_str(text).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::panic::AssertUnwindSafe;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for &Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = &'a Self;

        fn make_writer(&'a self) -> &'a Self {
            self
        }
    }

    fn logged(say: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Json(Clock::system()))
            .fmt_fields(SpanFields)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_object_whatever_is_in_it() {
        let nasty = "quote \" slash \\ line\nbreak \u{1} é \u{1F600}";
        let lines = logged(|| {
            tracing::info!(
                text = nasty,
                number = -3_i64,
                big = u64::MAX,
                half = 0.5,
                yes = true,
                nothing = Option::<&str>::None,
                debug = ?Some("x"),
                shown = %nasty,
                "said {}", 1
            );
        });
        let line = &lines[0];
        assert_eq!(line["text"], nasty);
        assert_eq!(line["shown"], nasty);
        assert_eq!(line["number"], -3);
        assert_eq!(line["big"], u64::MAX);
        assert_eq!(line["half"], 0.5);
        assert_eq!(line["yes"], true);
        assert!(line.get("nothing").is_none());
        assert_eq!(line["debug"], "Some(\"x\")");
        assert_eq!((&line["message"], &line["level"]), (&"said 1".into(), &"INFO".into()));
        let target = line["target"].as_str().unwrap();
        assert!(target.ends_with("telemetry::json::tests"), "{target}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
    }

    #[test]
    fn a_panic_is_a_line_of_its_request() {
        let lines = logged(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(super::super::tell_of_panic));
            let span = tracing::error_span!("request", request_id = "r-1");
            let panicking = AssertUnwindSafe(|| span.in_scope(|| panic!("out of {}", "luck")));
            let outcome = std::panic::catch_unwind(panicking);
            std::panic::set_hook(before);
            assert!(outcome.is_err());
        });
        assert_eq!(
            (&lines[0]["message"], &lines[0]["why"]),
            (&"panicked".into(), &"out of luck".into())
        );
        assert_eq!(lines[0]["request_id"], "r-1");
        assert!(lines[0]["place"].as_str().unwrap().contains("json.rs:"), "{}", lines[0]);
    }

    #[test]
    fn what_happens_in_a_request_carries_its_id() {
        let lines = logged(|| {
            let span = tracing::error_span!("request", service = "forum", request_id = "r-\"1");
            span.in_scope(|| tracing::error!("database fault"));
            tracing::info!("outside");
        });
        assert_eq!(lines[0]["request_id"], "r-\"1");
        assert_eq!(lines[0]["service"], "forum");
        assert!(lines[1].get("request_id").is_none());
    }
}
