//! Identifiers: 63-bit, time-ordered, made without asking anybody each time; and the process's
//! source of randomness.
//!
//! Layout, most significant first (the scheme known as Snowflake): 41 bits of milliseconds
//! since 2025-01-01 (69 years), 10 bits of generator number, 12 bits of sequence. One
//! generator never repeats itself: past 4,096 ids in a millisecond it borrows from the next. No two
//! have the same number at the same time: see [`Numbers`](crate::data::Numbers).
//! Clients see an opaque string (Crockford base 32, 13 characters, same order as the number).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{Clock, Timestamp};

/// 2025-01-01T00:00:00Z in milliseconds since the Unix epoch.
const EPOCH_MILLIS: i64 = 1_735_689_600_000;
const SEQUENCE_BITS: u32 = 12;
const GENERATOR_BITS: u32 = 10;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 13;

/// The identifier of one thing. Opaque to clients; orders by creation time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(i64);

impl Id {
    /// The identifier stored as `raw`.
    #[must_use]
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// The stored form.
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; LENGTH];
        let mut rest = self.0.cast_unsigned();
        for place in text.iter_mut().rev() {
            *place = ALPHABET[usize::try_from(rest & 31).unwrap_or(0)];
            rest >>= 5;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an id")]
pub struct NotAnId;

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.len() != LENGTH {
            return Err(NotAnId);
        }
        let mut raw: u64 = 0;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|&letter| letter == byte).ok_or(NotAnId)?;
            raw = raw.checked_mul(32).ok_or(NotAnId)? | digit as u64;
        }
        i64::try_from(raw).map(Self).map_err(|_| NotAnId)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A generator number, and the time that ids made with it may name: from `from` on, before
/// `until`. Nobody else ever makes ids with this number that name a time in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// 0 to 1023.
    pub number: u16,
    /// The first moment.
    pub from: Timestamp,
    /// The end.
    pub until: Timestamp,
}

/// There is no number to make an id with, or its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no number to make an id with")]
pub struct NoNumber;

/// Makes identifiers. Cheap to clone; clones share one sequence.
///
/// Only within the time of its [`Grant`]: a source that was frozen for longer makes none until
/// it has been granted more.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    grant: Option<Grant>,
    /// The last tick that was used. Ticks are milliseconds and sequence side by side, so that an
    /// overflow of the sequence carries into the milliseconds by itself.
    last: i64,
}

/// The first tick of the first millisecond that begins at or after `at`. Who ends at `at` ends
/// before it, and who begins at `at` begins with it.
fn tick_at(at: Timestamp) -> i64 {
    let millis = at.as_micros().saturating_add(999).div_euclid(1_000);
    millis.saturating_sub(EPOCH_MILLIS).clamp(0, i64::MAX >> SEQUENCE_BITS) << SEQUENCE_BITS
}

impl Ids {
    /// A source that has no number yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// A source with a number of its own for ever. For whoever has a database to itself: tests,
    /// tools that fill an empty one. The low ten bits count.
    #[must_use]
    pub fn fixed(clock: Clock, number: u16) -> Self {
        let (from, until) = (Timestamp::from_micros(0), Timestamp::from_micros(i64::MAX));
        let ids = Self::new(clock);
        ids.begin(Grant { number, from, until });
        ids
    }

    /// A new identifier, greater than every one this source made before.
    ///
    /// # Errors
    /// [`NoNumber`]: nothing was granted, or its time is over.
    pub fn next(&self) -> Result<Id, NoNumber> {
        let now = self.clock.now().as_micros().div_euclid(1_000).saturating_sub(EPOCH_MILLIS);
        let mut state = self.state.lock();
        let grant = state.grant.ok_or(NoNumber)?;
        let tick = (now.max(0) << SEQUENCE_BITS).max(state.last + 1).max(tick_at(grant.from));
        if tick >= tick_at(grant.until) {
            return Err(NoNumber);
        }
        state.last = tick;
        drop(state);
        let (millis, sequence) = (tick >> SEQUENCE_BITS, tick & ((1 << SEQUENCE_BITS) - 1));
        let number = i64::from(grant.number) & ((1 << GENERATOR_BITS) - 1);
        Ok(Id((millis << (GENERATOR_BITS + SEQUENCE_BITS)) | (number << SEQUENCE_BITS) | sequence))
    }

    /// From now on it makes ids under this grant.
    pub fn begin(&self, grant: Grant) {
        self.state.lock().grant = Some(grant);
    }

    /// What it makes ids under.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        self.state.lock().grant
    }

    /// More time for the number it has; nothing if it has another one by now.
    pub fn prolong(&self, number: u16, until: Timestamp) {
        let mut state = self.state.lock();
        if let Some(grant) = state.grant.as_mut().filter(|grant| grant.number == number) {
            grant.until = until;
        }
    }

    /// Makes no more ids: the number it had, and a moment after which none of its ids is.
    #[must_use]
    pub fn withdraw(&self) -> Option<(u16, Timestamp)> {
        let mut state = self.state.lock();
        let grant = state.grant.take()?;
        let unused =
            Timestamp::from_micros(((state.last >> SEQUENCE_BITS) + 1 + EPOCH_MILLIS) * 1_000);
        Some((grant.number, unused.max(grant.from)))
    }

    /// The moment `id` was made, to the millisecond.
    #[must_use]
    pub const fn made_at(id: Id) -> Timestamp {
        let millis = (id.0 >> (GENERATOR_BITS + SEQUENCE_BITS)) + EPOCH_MILLIS;
        Timestamp::from_micros(millis * 1_000)
    }
}

/// `N` bytes of the operating system's randomness, fit for keys and tokens.
///
/// # Panics
/// If the operating system has none to give, which no program should outlive.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    #[allow(clippy::expect_used, reason = "a machine without randomness can't run this program")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gave no randomness");
    bytes
}

/// A random text of 32 hexadecimal digits: a request id, a trace id, a gateway-made key.
#[must_use]
pub fn random_hex() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Bytes, of twice as many hexadecimal digits.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_790_000_000_000_000;

    fn ids() -> Ids {
        Ids::fixed(Clock::manual(Timestamp::from_micros(START)), 7)
    }

    #[test]
    fn are_unique_and_ascending_even_past_the_sequence() {
        let ids = ids();
        let made: Vec<Id> = (0..10_000).map(|_| ids.next().unwrap()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string()));
    }

    #[test]
    fn read_back_from_their_text() {
        let id = ids().next().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(Ids::made_at(id).as_micros(), 1_790_000_000_000_000);
    }

    #[test]
    fn refuse_what_is_no_id() {
        for text in [
            "",
            "1",
            "zzzzzzzzzzzzz",
            "0000000000000 ",
            "000000000000u",
            "ZZZZZZZZZZZZZ",
            "ſſſſſſſ",
        ] {
            assert_eq!(text.parse::<Id>(), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn two_generators_never_meet() {
        let clock = Clock::manual(Timestamp::from_micros(START));
        let (a, b) = (Ids::fixed(clock.clone(), 1), Ids::fixed(clock, 2));
        let both = (0..5_000).flat_map(|_| [a.next().unwrap(), b.next().unwrap()]);
        let mut all: Vec<Id> = both.collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10_000);
    }
    fn grant(from: i64, until: i64) -> Grant {
        let at = |micros| Timestamp::from_micros(START + micros);
        Grant { number: 7, from: at(from), until: at(until) }
    }

    #[test]
    fn none_is_made_outside_the_time_that_was_granted() {
        let clock = Clock::manual(Timestamp::from_micros(START));
        let ids = Ids::new(clock.clone());
        assert_eq!(ids.next(), Err(NoNumber));
        ids.begin(grant(5_000, 8_000));
        // Its own clock is behind; ids begin where the grant does.
        assert_eq!(Ids::made_at(ids.next().unwrap()).as_micros(), START + 5_000);
        clock.advance(std::time::Duration::from_millis(7));
        assert_eq!(Ids::made_at(ids.next().unwrap()).as_micros(), START + 7_000);
        // As after a freeze.
        clock.advance(std::time::Duration::from_secs(3_600));
        assert_eq!(ids.next(), Err(NoNumber));
        ids.prolong(8, Timestamp::from_micros(i64::MAX));
        assert_eq!(ids.next(), Err(NoNumber), "that is another number's time");
        ids.prolong(7, Timestamp::from_micros(START + 2 * 3_600_000_000));
        ids.next().unwrap();
        let (number, unused) = ids.withdraw().unwrap();
        assert_eq!((number, unused.as_micros()), (7, START + 3_600_008_000));
        assert_eq!((ids.next(), ids.withdraw()), (Err(NoNumber), None));
    }

    /// One number in two hands, one after the other: as many ids as each has time for.
    #[test]
    fn two_grants_of_one_number_never_meet() {
        let clock = Clock::manual(Timestamp::from_micros(START));
        for border in [1_000, 1_001, 1_500, 1_999, 2_000] {
            let all = |from, until| {
                let ids = Ids::new(clock.clone());
                ids.begin(grant(from, until));
                std::iter::from_fn(|| ids.next().ok()).collect::<Vec<Id>>()
            };
            let (first, second) = (all(0, border), all(border, 4_000));
            assert!(first.last() < second.first(), "{border}");
            assert_eq!(first.len() + second.len(), 4 * 4_096, "{border}");
        }
    }
}
