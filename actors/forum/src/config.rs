//! The `[forum]` section.

use std::sync::Arc;

use panel_kernel::config::{BadValue, PoolConfig, Section, Span};
use panel_kernel::data::Migrations;
use panel_kernel::events::Subscription;
use panel_kernel::service::ServiceSpec;
use panel_text::names;
use panel_text::rendering::Renderer;
use serde::{Deserialize, Serialize};

use crate::{SERVICE, api, assemble, discussions, pages};

/// A body of more bytes would not fit into a message; a character has at most four.
const MOST_BODY_CHARS: usize = 32_000;

/// Ways to react, where it is not said.
const REACTIONS: [&str; 12] = [
    "like",
    "love",
    "laugh",
    "wow",
    "sad",
    "angry",
    "thanks",
    "celebrate",
    "heart",
    "thinking",
    "thumbs_up",
    "thumbs_down",
];
/// Each adds to what is shown with every post.
const MOST_REACTIONS: usize = 30;

const SUBSCRIPTIONS: &[Subscription] = &[
    Subscription { source: "auth", topics: &["user.*"] },
    Subscription { source: discussions::SOURCE, topics: discussions::TOPICS },
    // Its own, of what is to be found by other words.
    Subscription {
        source: "forum",
        topics: &[
            "thread.created",
            "thread.edited",
            "thread.merged",
            "thread.split",
            "post.created",
            "post.edited",
        ],
    },
];

/// What can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ForumConfig {
    /// How much the service takes at a time.
    pub(crate) pool: PoolConfig,
    /// The longest post, in characters of Markdown.
    pub(crate) max_body_chars: usize,
    /// How people can react to posts, by names.
    pub(crate) reactions: Vec<String>,
    /// The hour, in UTC, at which those get mails of what they have not read who want them.
    pub(crate) digest_hour: u8,
    /// Where articles are discussed.
    pub(crate) comments: CommentsConfig,
    /// What is hidden, held, and shown of moderation.
    pub(crate) moderation: ModerationConfig,
    /// How accounts come to be trusted, and what those may that are not.
    pub(crate) trust: TrustConfig,
}

/// Where articles are discussed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CommentsConfig {
    /// The slug of the category in which their threads are opened. It is made where there is none.
    pub(crate) category: String,
}

impl Default for CommentsConfig {
    fn default() -> Self {
        Self { category: "comments".to_owned() }
    }
}

/// What is hidden, held, and shown of moderation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModerationConfig {
    /// As many flags by people who are known hide a post until moderators have looked; 0: never.
    pub(crate) hide_at: u32,
    /// So many posts of each account are held until moderators have looked.
    pub(crate) hold_first_posts: u32,
    /// Who sees what moderators did.
    pub(crate) public_log: PublicLog,
    /// What somebody who is banned is told about appealing.
    pub(crate) appeals: String,
}

/// Who sees what moderators did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PublicLog {
    /// Moderators.
    Off,
    /// Everybody, but not who did it.
    Anonymous,
    /// Everybody.
    Named,
}

impl Default for ModerationConfig {
    fn default() -> Self {
        let appeals = "You can appeal once; moderators will read it.".to_owned();
        Self { hide_at: 3, hold_first_posts: 0, public_log: PublicLog::Off, appeals }
    }
}

/// How accounts come to be trusted, and what those may that are not. Staff are exempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TrustConfig {
    /// An account is known when it is so old, and has written `known_posts`.
    pub(crate) known_after: Span,
    pub(crate) known_posts: u32,
    /// And trusted when it is so old, and has written `trusted_posts`.
    pub(crate) trusted_after: Span,
    pub(crate) trusted_posts: u32,
    /// Links in a post of an account that is not known; thrice as many if it is.
    pub(crate) links: u32,
    /// The same for people called by name.
    pub(crate) mentions: u32,
    /// The same for posts within a minute.
    pub(crate) posts_per_minute: u32,
}

impl Default for TrustConfig {
    fn default() -> Self {
        Self {
            known_after: Span::seconds(24 * 3_600),
            known_posts: 3,
            trusted_after: Span::seconds(14 * 24 * 3_600),
            trusted_posts: 20,
            links: 2,
            mentions: 5,
            posts_per_minute: 5,
        }
    }
}

impl Default for ForumConfig {
    fn default() -> Self {
        let reactions = REACTIONS.map(str::to_owned).to_vec();
        Self {
            pool: PoolConfig::default(),
            max_body_chars: MOST_BODY_CHARS,
            reactions,
            digest_hour: 7,
            comments: CommentsConfig::default(),
            moderation: ModerationConfig::default(),
            trust: TrustConfig::default(),
        }
    }
}

impl ForumConfig {
    fn read(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check(&format!("{}.pool", section.path))?;
        if !(1..=MOST_BODY_CHARS).contains(&config.max_body_chars) {
            return Err(BadValue {
                key: format!("{}.max_body_chars", section.path),
                reason: format!("must be between 1 and {MOST_BODY_CHARS}"),
            });
        }
        if config.digest_hour > 23 {
            return Err(BadValue {
                key: format!("{}.digest_hour", section.path),
                reason: "must be between 0 and 23".to_owned(),
            });
        }
        let category = &config.comments.category;
        if names::slug(category, "") != *category || category.is_empty() {
            return Err(BadValue {
                key: format!("{}.comments.category", section.path),
                reason: "must be a slug: small letters, digits and hyphens".to_owned(),
            });
        }
        if config.moderation.appeals.chars().count() > 500 {
            return Err(BadValue {
                key: format!("{}.moderation.appeals", section.path),
                reason: "must have at most 500 characters".to_owned(),
            });
        }
        if config.trust.posts_per_minute == 0 {
            return Err(BadValue {
                key: format!("{}.trust.posts_per_minute", section.path),
                reason: "must be at least 1; see read-only categories (`post_role`)".to_owned(),
            });
        }
        let is_name = |name: &String| {
            (1..=32).contains(&name.len())
                && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'+'))
        };
        if config.reactions.len() > MOST_REACTIONS || !config.reactions.iter().all(is_name) {
            return Err(BadValue {
                key: format!("{}.reactions", section.path),
                reason: format!(
                    "must be at most {MOST_REACTIONS} names of 1 to 32 of a-z, 0-9, _, - and +"
                ),
            });
        }
        Ok(config)
    }
}

/// The service as configured.
pub(crate) fn configure(section: &Section) -> Result<ServiceSpec, BadValue> {
    let config = ForumConfig::read(section)?;
    let renderer = Renderer::new(SERVICE.name, config.pool);
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5002,
        pages: pages::PREFIXES,
        pool: config.pool,
        migrations: migrations(),
        subscriptions: SUBSCRIPTIONS,
        openapi: api::openapi,
        assemble: Arc::new(move |context| assemble(context, &config, &renderer)),
    })
}

/// The service's schema, for administrative commands.
#[must_use]
pub fn migrations() -> Migrations {
    panel_kernel::migrations!("../../migrations/forum/sqlite", "../../migrations/forum/postgres")
}

/// The section with defaults filled in.
pub(crate) fn effective(section: &Section) -> Result<serde_json::Value, BadValue> {
    section.effective(&ForumConfig::read(section)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(values: serde_json::Value) -> Result<ForumConfig, BadValue> {
        ForumConfig::read(&Section { path: "forum".to_owned(), values })
    }

    #[test]
    fn an_empty_section_is_the_default() {
        assert_eq!(read(json!({})), Ok(ForumConfig::default()));
    }

    #[test]
    fn bad_values_are_named() {
        for (values, key) in [
            (json!({"max_body_chars": 0}), "forum.max_body_chars"),
            (json!({"max_body_chars": 1_000_000}), "forum.max_body_chars"),
            (json!({"digest_hour": 24}), "forum.digest_hour"),
            (json!({"reactions": ["A smile"]}), "forum.reactions"),
            (json!({"reactions": vec!["x"; 31]}), "forum.reactions"),
            (json!({"pool": {"workers": 0}}), "forum.pool.workers"),
            (json!({"bodies": 1}), "forum.bodies"),
            (json!({"moderation": {"appeals": "x".repeat(501)}}), "forum.moderation.appeals"),
            (json!({"comments": {"category": "A name"}}), "forum.comments.category"),
            (json!({"comments": {"category": ""}}), "forum.comments.category"),
            (json!({"trust": {"posts_per_minute": 0}}), "forum.trust.posts_per_minute"),
        ] {
            assert_eq!(read(values).unwrap_err().key, key);
        }
    }
}
