//! Waiting for something to become true.

use std::panic::Location;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// What a look can find.
pub trait Outcome {
    /// What there is when it is there.
    type Value;

    /// The value, or what was there instead.
    ///
    /// # Errors
    /// What was seen, for the message at the deadline.
    fn outcome(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();

    fn outcome(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".to_owned()) }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn outcome(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: std::fmt::Debug> Outcome for Result<T, E> {
    type Value = T;

    fn outcome(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Looks every 10 ms until `look` finds `true`, `Some` or `Ok`, and gives what it found. A look
/// that takes too long itself is given up at the deadline.
///
/// # Panics
/// At the deadline, with `what` and what the last look found.
#[track_caller]
pub fn eventually<L, F>(
    what: &str,
    within: Duration,
    mut look: L,
) -> impl Future<Output = <F::Output as Outcome>::Value>
where
    L: FnMut() -> F,
    F: Future<Output: Outcome>,
{
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + within;
        let mut seen = "no look ended".to_owned();
        while let Ok(found) = tokio::time::timeout_at(deadline.into(), look()).await {
            match found.outcome() {
                Ok(value) => return value,
                Err(instead) => seen = instead,
            }
            if Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("not within {within:?}: {what} (last seen: {seen}) at {caller}")
    }
}
