//! Time as a dependency: everything that asks "what time is it" asks a [`Clock`], so that
//! tests own it. Storage and the wire carry [`Timestamp`]: microseconds since the Unix epoch.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

/// A moment in UTC, in microseconds since the Unix epoch. Shown as RFC 3339.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down (the `NumericDate` of RFC 7519).
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `seconds` seconds after the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The beginning of a day, in UTC and the Gregorian calendar. A day that does not exist is the one after so many.
    #[must_use]
    pub const fn midnight(year: i32, month: u8, day: u8) -> Self {
        // Days are counted from the first of March, so that a leap day is a year's last.
        let (year, month, day) = (year as i64, month as i64, day as i64);
        let year = if month <= 2 { year - 1 } else { year };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        // The first of March of the year 0 is 719,468 days before the epoch.
        Self::from_seconds((year * 365 + leap_days + of_year - 719_468) * 86_400)
    }

    /// As HTTP writes times (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`. `None` outside the years 1900 to 9999.
    #[must_use]
    pub fn http_date(self) -> Option<String> {
        let at = OffsetDateTime::from_unix_timestamp(self.as_seconds()).ok()?;
        let text = at.format(&Rfc2822).ok()?;
        Some(text.replace("+0000", "GMT"))
    }

    /// How long from `self` until `later`; zero if it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// This moment moved into the future by `by`.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment moved into the past by `by`.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Always six digits, so that times order as texts do.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::of(*self).as_str())
    }
}

/// As it is shown. There are many in every answer, so no formatter makes it.
struct Text([u8; 27]);

impl Text {
    const OUT_OF_RANGE: &str = "out-of-range";

    /// Outside the years 0 to 9999: empty.
    fn of(at: Timestamp) -> Self {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let Ok(day) = OffsetDateTime::from_unix_timestamp(at.as_seconds()) else {
            return Self([0; 27]);
        };
        let Ok(year) = u32::try_from(day.year()) else { return Self([0; 27]) };
        let (hour, minute, second) = day.to_hms();
        let micros = u32::try_from(at.0.rem_euclid(1_000_000)).unwrap_or_default();
        for (end, mut number) in [
            (4, year),
            (7, u8::from(day.month()).into()),
            (10, day.day().into()),
            (13, hour.into()),
            (16, minute.into()),
            (19, second.into()),
            (26, micros),
        ] {
            for digit in text[..end].iter_mut().rev() {
                if number == 0 {
                    break;
                }
                *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.0) {
            Ok(text) if self.0[0] != 0 => text,
            _ => Self::OUT_OF_RANGE,
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Text::of(*self).as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("time out of range"))
    }
}

/// Where the time comes from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// So many microseconds ahead of the machine's.
    System(i64),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self::system_with_offset(0)
    }

    /// A clock that is wrong by so many seconds; negative: behind (tests).
    #[must_use]
    pub const fn system_with_offset(seconds: i32) -> Self {
        Self(Source::System(seconds as i64 * 1_000_000))
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it (tests).
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    /// The current moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[allow(
                clippy::disallowed_methods,
                reason = "the one place that reads the machine's clock"
            )]
            Source::System(offset) => {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(
                    i64::try_from(since.as_micros()).unwrap_or(i64::MAX).saturating_add(*offset),
                )
            }
            Source::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's clock is not ours to move, so there it does nothing.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(at) = &self.0 {
            at.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_rfc_3339_and_reads_it_back() {
        let at = Timestamp::from_micros(1_790_000_000_123_456);
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(text, "\"2026-09-21T14:13:20.123456Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), at);
        let whole = Timestamp::from_micros(1_790_000_000_000_000);
        assert_eq!(whole.to_string(), "2026-09-21T14:13:20.000000Z");
        assert!(whole.to_string() < at.to_string());
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn it_is_shown_as_the_library_would_show_it() {
        let last = Timestamp::midnight(10_000, 1, 1).as_micros() - 1;
        let first = Timestamp::midnight(0, 1, 1).as_micros();
        // A step that no calendar knows of.
        let steps = (first..=last).step_by(86_413_777_777_771).chain([first, -1, 0, last]);
        for micros in steps {
            let nanos = i128::from(micros) * 1_000;
            let by_library = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let (date, time) = (by_library.date(), by_library.time());
            let seconds = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
            let expected = format!("{date}T{seconds}.{:06}Z", time.microsecond());
            assert_eq!(Timestamp::from_micros(micros).to_string(), expected);
        }
        for outside in [first - 1, last + 1, i64::MIN, i64::MAX] {
            assert_eq!(Timestamp::from_micros(outside).to_string(), "out-of-range");
        }
    }

    #[test]
    fn days_begin_where_the_calendar_says() {
        for (year, month, day, text) in [
            (1970, 1, 1, "1970-01-01"),
            (2000, 2, 29, "2000-02-29"),
            (2026, 11, 30, "2026-11-30"),
            (2100, 3, 1, "2100-03-01"),
            (1969, 12, 31, "1969-12-31"),
            (2027, 2, 29, "2027-03-01"),
        ] {
            let at = Timestamp::midnight(year, month, day).to_string();
            assert_eq!(at, format!("{text}T00:00:00.000000Z"));
        }
        let at = Timestamp::midnight(1994, 11, 6).plus(Duration::from_secs(31_777));
        assert_eq!(at.http_date().unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(Timestamp::midnight(10_000, 1, 1).http_date(), None);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp::from_micros(5));
        assert_eq!(clock.now(), clock.now());
        clock.advance(Duration::from_micros(2));
        assert_eq!(clock.now().as_micros(), 7);
    }

    #[test]
    fn until_is_zero_for_the_past() {
        let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(9));
        assert_eq!(early.until(late), Duration::from_micros(8));
        assert_eq!(late.until(early), Duration::ZERO);
    }
}
