//! How often somebody may ask for what there is of them.

use std::time::Duration;

use panel_kernel::time::Timestamp;

/// In this time …
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);
/// … so often.
pub(crate) const MOST_A_DAY: i64 = 3;

/// How long to wait before asking again, given when somebody asked in the last day, the newest first.
pub(crate) fn wait(asked: &[Timestamp], now: Timestamp) -> Option<Duration> {
    let most = usize::try_from(MOST_A_DAY).unwrap_or(usize::MAX);
    let oldest = asked.get(most - 1)?;
    Some(DAY.saturating_sub(oldest.until(now))).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_a_day() {
        let at = |seconds: i64| Timestamp::from_seconds(1_000_000 + seconds);
        assert_eq!(wait(&[], at(0)), None);
        assert_eq!(wait(&[at(20), at(10)], at(30)), None);
        let asked = [at(20), at(10), at(0)];
        assert_eq!(wait(&asked, at(30)), Some(Duration::from_secs(86_370)));
        assert_eq!(wait(&asked, at(86_400)), None);
    }
}
