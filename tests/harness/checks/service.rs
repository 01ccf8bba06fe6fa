//! How clients were served. To be asked of a part of a history, such as
//! [`History::during`] a fault.

use std::time::{Duration, Instant};

use super::Violation;
use crate::load::{Entry, History};

/// No more requests than these failed.
///
/// # Errors
/// Those that did; or that there was no request.
pub fn failures_at_most(history: &History, most: usize) -> Result<(), Violation> {
    let failed = failed(must_have_requests(history)?);
    if failed.len() <= most {
        return Ok(());
    }
    Err(Violation::of(history, format!("more than {most} failed: {history}"), &failed))
}

/// No greater share of the requests failed: 0.01 is one in a hundred.
///
/// # Errors
/// Those that failed; or that there was no request.
pub fn failure_rate_at_most(history: &History, most: f64) -> Result<(), Violation> {
    let failed = failed(must_have_requests(history)?);
    #[allow(clippy::cast_precision_loss, reason = "counts of requests")]
    let rate = failed.len() as f64 / history.entries().len() as f64;
    if rate <= most {
        return Ok(());
    }
    let what = format!("a share of {rate:.4} failed, more than {most}: {history}");
    Err(Violation::of(history, what, &failed))
}

/// Whatever failed did so in one of these ways, named as [`History::failures`] does:
/// `503 unavailable`, `connection lost`.
///
/// # Errors
/// The requests that failed otherwise; or that there was no request.
pub fn only_fails_with(history: &History, ways: &[&str]) -> Result<(), Violation> {
    let mut failed = failed(must_have_requests(history)?);
    failed.retain(|entry| !ways.contains(&entry.outcome.to_string().as_str()));
    if failed.is_empty() {
        return Ok(());
    }
    Err(Violation::of(history, format!("failed with other than {ways:?}: {history}"), &failed))
}

/// No request took longer, whether it failed or not.
///
/// # Errors
/// Those that did; or that there was no request.
pub fn longest_at_most(history: &History, limit: Duration) -> Result<(), Violation> {
    let all = must_have_requests(history)?.entries().iter();
    let mut longer: Vec<&Entry> = all.filter(|entry| entry.took() > limit).collect();
    if longer.is_empty() {
        return Ok(());
    }
    longer.sort_by_key(|entry| std::cmp::Reverse(entry.took()));
    Err(Violation::of(history, format!("longer than {limit:?}: {history}"), &longer))
}

/// So many per cent of the requests took no longer.
///
/// # Errors
/// The longest ones; or that there was no request.
///
/// # Panics
/// If `percent` is not from 1 to 100.
pub fn percentile_at_most(
    history: &History,
    percent: usize,
    limit: Duration,
) -> Result<(), Violation> {
    let found = must_have_requests(history)?.latency().percentile(percent);
    if found <= limit {
        return Ok(());
    }
    let mut longer: Vec<&Entry> =
        history.entries().iter().filter(|entry| entry.took() >= found).collect();
    longer.sort_by_key(|entry| std::cmp::Reverse(entry.took()));
    let what = format!("p{percent} is {found:.1?}, more than {limit:?}: {history}");
    Err(Violation::of(history, what, &longer))
}

/// So long after a moment, such as that of a fault or of its end, nothing fails any more.
///
/// # Errors
/// The failures after that time; or that nothing succeeded after the last failure.
pub fn recovers_within(history: &History, from: Instant, limit: Duration) -> Result<(), Violation> {
    let failed = failed(must_have_requests(history)?);
    let Some(took) = history.recovery(from) else {
        let last: Vec<&Entry> = failed.into_iter().rev().take(1).collect();
        return Err(Violation::of(history, "nothing succeeded after the last failure", &last));
    };
    if took <= limit {
        return Ok(());
    }
    let late: Vec<&Entry> = failed.into_iter().filter(|entry| entry.ended > from + limit).collect();
    let what = format!("recovered after {took:.1?}, not within {limit:?}: {history}");
    Err(Violation::of(history, what, &late))
}

fn must_have_requests(history: &History) -> Result<&History, Violation> {
    if history.entries().is_empty() {
        return Err(Violation::plain("there was no request"));
    }
    Ok(history)
}

fn failed(history: &History) -> Vec<&Entry> {
    history.entries().iter().filter(|entry| !entry.outcome.is_done()).collect()
}
