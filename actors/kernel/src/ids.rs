//! Identifiers: 63-bit, time-ordered, made without asking anybody; and the process's
//! source of randomness.
//!
//! Layout, most significant first (the scheme known as Snowflake): 41 bits of milliseconds
//! since 2025-01-01 (69 years), 10 bits of generator number, 12 bits of sequence. One
//! generator never repeats itself: past 4,096 ids in a millisecond it borrows from the next.
//! Clients see an opaque string (Crockford base 32, 13 characters, same order as the number).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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

/// Makes identifiers. Cheap to clone; clones share one sequence.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
    generator: i64,
    last: Arc<AtomicI64>,
}

impl Ids {
    /// A source of identifiers. Two sources that write to one database at the same time must
    /// have different `generator` numbers (the low ten bits count).
    #[must_use]
    pub fn new(clock: Clock, generator: u16) -> Self {
        let generator = i64::from(generator) & ((1 << GENERATOR_BITS) - 1);
        Self { clock, generator, last: Arc::new(AtomicI64::new(0)) }
    }

    /// A new identifier, greater than every one this source made before.
    #[must_use]
    pub fn next(&self) -> Id {
        let now = (self.clock.now().as_micros() / 1_000 - EPOCH_MILLIS).max(0) << SEQUENCE_BITS;
        // `last` counts ticks: milliseconds and sequence side by side, so that an overflow of
        // the sequence carries into the milliseconds by itself.
        let tick = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
            .map_or(now, |last| now.max(last + 1));
        let (millis, sequence) = (tick >> SEQUENCE_BITS, tick & ((1 << SEQUENCE_BITS) - 1));
        Id((millis << (GENERATOR_BITS + SEQUENCE_BITS))
            | (self.generator << SEQUENCE_BITS)
            | sequence)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        Ids::new(Clock::manual(Timestamp::from_micros(1_790_000_000_000_000)), 7)
    }

    #[test]
    fn are_unique_and_ascending_even_past_the_sequence() {
        let ids = ids();
        let made: Vec<Id> = (0..10_000).map(|_| ids.next()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string()));
    }

    #[test]
    fn read_back_from_their_text() {
        let id = ids().next();
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
        let clock = Clock::manual(Timestamp::from_micros(1_790_000_000_000_000));
        let (a, b) = (Ids::new(clock.clone(), 1), Ids::new(clock, 2));
        let mut all: Vec<Id> = (0..5_000).flat_map(|_| [a.next(), b.next()]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 10_000);
    }
}
