//! How far somebody is trusted, and what that allows. Pure.
//!
//! Nobody is asked for anything: accounts begin with limits, which ease with time and with posts that
//! stood, and are gone soon for whoever writes what others are glad of. A post that moderators refused
//! counts against five.

use std::time::Duration;

use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::TrustConfig;

/// What a refused post outweighs.
const REFUSED_OUTWEIGHS: i64 = 5;
/// What may be done by who is known, as a multiple of what who is new may.
const KNOWN_MAY: u32 = 3;
/// The time in which posts are counted.
pub(crate) const BURST: Duration = Duration::from_secs(60);

/// How far somebody is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trust {
    /// Has limits; their flags hide nothing.
    New,
    /// Has wider limits.
    Known,
    /// Has none.
    Trusted,
}

/// What somebody has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) registered_at: Timestamp,
    pub(crate) post_count: i64,
    pub(crate) refused_count: i64,
}

impl Trust {
    /// How far somebody with this record is trusted at `now`.
    pub(crate) fn of(record: Record, config: &TrustConfig, now: Timestamp) -> Self {
        let stood = record
            .post_count
            .saturating_sub(record.refused_count.saturating_mul(REFUSED_OUTWEIGHS));
        let age = record.registered_at.until(now);
        let has = |posts: u32, life: Duration| stood >= i64::from(posts) && age >= life;
        if has(config.trusted_posts, config.trusted_after.0) {
            Self::Trusted
        } else if has(config.known_posts, config.known_after.0) {
            Self::Known
        } else {
            Self::New
        }
    }

    /// What a flag by them weighs. By who is new it is looked at, and weighs nothing: a crowd of new
    /// accounts hides nobody's post.
    pub(crate) const fn weight(self) -> i64 {
        match self {
            Self::New => 0,
            Self::Known | Self::Trusted => 1,
        }
    }

    /// What they may do; `None`: as they like.
    pub(crate) fn allowance(self, config: &TrustConfig) -> Option<Allowance> {
        let times = match self {
            Self::New => 1,
            Self::Known => KNOWN_MAY,
            Self::Trusted => return None,
        };
        Some(Allowance {
            links: config.links.saturating_mul(times),
            mentions: config.mentions.saturating_mul(times),
            posts_per_minute: config.posts_per_minute.saturating_mul(times),
        })
    }
}

/// What somebody may do who is not trusted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Allowance {
    /// Links and pictures from elsewhere, in one post.
    pub(crate) links: u32,
    /// People called by name, in one post.
    pub(crate) mentions: u32,
    /// Posts within a minute.
    pub(crate) posts_per_minute: u32,
}

impl Allowance {
    /// Whether a text with so many links and mentions is within it.
    pub(crate) fn text(&self, links: usize, mentions: usize) -> Result<(), Problem> {
        let exceeds =
            |count: usize, most: u32| u32::try_from(count).is_ok_and(|count| count > most);
        let refuse = |code: &str, what: &str, most: u32| {
            let message =
                format!("accounts that are new here may have {most} {what} in a post, and no more");
            Err(Problem::field("body", code, message))
        };
        if exceeds(links, self.links) {
            refuse("too_many_links", "links", self.links)
        } else if exceeds(mentions, self.mentions) {
            refuse("too_many_mentions", "mentions", self.mentions)
        } else {
            Ok(())
        }
    }

    /// Whether there may be so many posts within the minute that began at `since`, this one included.
    pub(crate) fn burst(
        &self,
        posts: i64,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if posts <= i64::from(self.posts_per_minute) {
            return Ok(());
        }
        let wait = now.until(since.plus(BURST)).as_secs() + 1;
        let detail = format!(
            "accounts that are new here may write {} posts a minute; the next in {wait} s",
            self.posts_per_minute
        );
        let problem = Problem::new(panel_kernel::problem::Kind::RateLimited, detail);
        Err(problem.retry_after(u32::try_from(wait).unwrap_or(60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn trust(days: u32, post_count: i64, refused_count: i64) -> Trust {
        let registered_at = Timestamp::from_seconds(1_790_000_000);
        let record = Record { registered_at, post_count, refused_count };
        Trust::of(record, &TrustConfig::default(), registered_at.plus(DAY * days))
    }

    #[test]
    fn trust_comes_with_time_and_posts_that_stood() {
        assert_eq!(trust(0, 100, 0), Trust::New);
        assert_eq!(trust(30, 0, 0), Trust::New);
        assert_eq!(trust(1, 3, 0), Trust::Known);
        assert_eq!(trust(14, 20, 0), Trust::Trusted);
        assert_eq!(trust(14, 20, 1), Trust::Known);
        assert_eq!(trust(14, 20, 4), Trust::New);
        assert_eq!(trust(14, i64::MAX, i64::MAX), Trust::New);
    }

    #[test]
    fn limits_ease() {
        let config = TrustConfig::default();
        let of = |trust: Trust| trust.allowance(&config);
        let new = of(Trust::New).unwrap();
        assert_eq!(of(Trust::Known).unwrap().links, 3 * new.links);
        assert_eq!(of(Trust::Trusted), None);
        assert!(new.text(2, 5).is_ok());
        assert_eq!(new.text(3, 0).unwrap_err().errors[0].code, "too_many_links");
        assert_eq!(new.text(0, 6).unwrap_err().errors[0].code, "too_many_mentions");
        let (since, now) = (Timestamp::from_seconds(100), Timestamp::from_seconds(110));
        assert!(new.burst(5, since, now).is_ok());
        let refused = new.burst(6, since, now).unwrap_err();
        assert_eq!(refused.body("r").status, 429);
        assert!(refused.detail.contains("in 51 s"), "{}", refused.detail);
    }
}
