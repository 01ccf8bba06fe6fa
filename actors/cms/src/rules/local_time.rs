//! Times as people plan them: a moment, or what a clock on a wall shows somewhere.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

/// The furthest ahead that something can be planned, in seconds: ten years.
const MOST_AHEAD: i64 = 10 * 366 * 86_400;

/// The moment that `text` names: with an offset (RFC 3339) by itself, else what clocks show in `zone` (a name of the
/// IANA database, such as `Europe/Berlin`). It must be ahead of `now`. Where clocks show it twice, because they were
/// put back, it is the first time; where they never show it, because they were put forward, it is refused.
///
/// # Errors
/// 422, with the reason.
pub(crate) fn moment(text: &str, zone: Option<&str>, now: Timestamp) -> Result<Timestamp, Problem> {
    let bad = |code: &str, message: String| Problem::field("publish_at", code, message);
    let at = match (text.parse::<jiff::Timestamp>(), zone) {
        (Ok(at), _) => at,
        (Err(_), None) => {
            let message =
                "must be a time like 2026-05-01T09:00:00Z, or without an offset beside a time_zone";
            return Err(bad("invalid", message.to_owned()));
        }
        (Err(_), Some(zone)) => {
            let clock: DateTime = text.parse().map_err(|_| {
                bad("invalid", "must be a time like 2026-05-01T09:00:00".to_owned())
            })?;
            shown(clock, zone).map_err(|(field, code, why)| Problem::field(field, code, why))?
        }
    };
    let at = Timestamp::from_micros(at.as_microsecond());
    if at <= now {
        return Err(bad("past", "must be ahead; to show it now, publish it".to_owned()));
    }
    if at.as_seconds() - now.as_seconds() > MOST_AHEAD {
        return Err(bad("out_of_range", "must be within ten years".to_owned()));
    }
    Ok(at)
}

type Why = (&'static str, &'static str, String);

fn shown(clock: DateTime, zone: &str) -> Result<jiff::Timestamp, Why> {
    let unknown = |_| ("time_zone", "unknown", format!("there is no time zone {zone:?}"));
    let zone = TimeZone::get(zone).map_err(unknown)?;
    let ambiguous = zone.to_ambiguous_timestamp(clock);
    if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
        let why = "clocks are put forward then, and never show this; choose another time";
        return Err(("publish_at", "no_such_time", why.to_owned()));
    }
    let bad = |_| ("publish_at", "out_of_range", "is too far away".to_owned());
    ambiguous.earlier().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: Option<&str>) -> Result<String, String> {
        let now = Timestamp::from_seconds(1_767_225_600);
        let code = |problem: Problem| problem.errors[0].code.clone();
        moment(text, zone, now).map(|at| at.to_string()).map_err(code)
    }

    #[test]
    fn a_moment_is_what_clocks_show_there() {
        let berlin = Some("Europe/Berlin");
        for (text, zone, expected) in [
            ("2026-05-01T09:00:00Z", None, Ok("2026-05-01T09:00:00")),
            ("2026-05-01T09:00:00+02:00", Some("Asia/Tokyo"), Ok("2026-05-01T07:00:00")),
            ("2026-05-01T09:00:00", berlin, Ok("2026-05-01T07:00:00")),
            ("2026-12-01T09:00", berlin, Ok("2026-12-01T08:00:00")),
            // Put back at three: half past two is shown twice.
            ("2026-10-25T02:30:00", berlin, Ok("2026-10-25T00:30:00")),
            // Put forward at two: half past two is never shown.
            ("2026-03-29T02:30:00", berlin, Err("no_such_time")),
            ("2026-03-29T03:00:00", berlin, Ok("2026-03-29T01:00:00")),
            ("2026-05-01T09:00:00", Some("Mars/Olympus"), Err("unknown")),
            ("2026-05-01T09:00:00", None, Err("invalid")),
            ("tomorrow", berlin, Err("invalid")),
            ("2025-05-01T09:00:00Z", None, Err("past")),
            ("2126-05-01T09:00:00Z", None, Err("out_of_range")),
        ] {
            let found = read(text, zone);
            let found = found.as_deref().map(|at| &at[..19]).map_err(String::as_str);
            assert_eq!(found, expected, "{text} {zone:?}");
        }
    }
}
