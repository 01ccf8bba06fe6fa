//! The `[cms]` section.

use std::path::PathBuf;
use std::time::Duration;

use panel_kernel::blocking::half_of_the_processors;
use panel_kernel::config::{BadValue, PoolConfig, Section, Span};
use panel_kernel::network::Network;
use panel_kernel::outbound::{Bounds, Guarded};
use panel_kernel::role::Role;
use panel_pictures::Limits;
use panel_text::markdown::Embed;
use serde::{Deserialize, Serialize};

/// More than this does not come through the gateway, which takes so many bytes.
const MOST_BODY_CHARS: usize = 128 * 1024;

/// How long a webhook's answer is waited for, at least and at most.
const ANSWER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Webhooks that are spoken to at a time: as many as there can be.
const AT_ONCE: usize = 64;
/// What is read of their answers, in bytes.
const READ: usize = 2_048;
/// The most workers that make pictures.
const MOST_WORKERS: usize = 8;
/// The longest file that can be allowed, in bytes.
pub(crate) const MOST_FILE: u64 = 256 * 1024 * 1024;

/// How articles are written and served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CmsConfig {
    /// How much the service takes at a time.
    pub pool: PoolConfig,
    /// The longest text of an article, in characters.
    pub max_body_chars: usize,
    /// Where `/` leads.
    pub home: String,
    /// Whether posts want comments where nobody says; they are in the forum.
    pub comments: bool,
    /// Whose videos can be in articles.
    pub embeds: Vec<Embed>,
    /// Pictures.
    pub media: MediaConfig,
    /// Servers of others that are told what becomes of articles.
    pub webhooks: WebhookConfig,
}

/// To whom webhooks may be, and how long they are waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Networks inside that they may be in. Else they are at public addresses, and are spoken to under TLS.
    pub allowed_networks: Vec<Network>,
    /// The authority above their servers, in PEM form, where it is none of the public ones.
    pub ca_file: PathBuf,
    /// How long an answer is waited for.
    pub timeout: Span,
}

/// What is taken of pictures, and what making them may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// The longest file, in bytes.
    pub max_bytes: u64,
    /// The largest picture, in pixels.
    pub max_pixels: u64,
    /// The most frames of one that moves.
    pub max_frames: u32,
    /// How much memory pixels of all pictures together take while they are made, in bytes.
    pub memory_bytes: u64,
    /// The most seconds of a processor that one takes.
    pub max_seconds: u64,
    /// Pictures made at the same time; 0: half as many as there are processors.
    pub workers: usize,
    /// Pictures that may wait for that, or are being made; of one account half of them.
    pub waiting: usize,
    /// How many bytes of files those may have who write; 0: as many as they like.
    pub writer_quota_bytes: u64,
    /// The same for moderators. Administrators have none.
    pub moderator_quota_bytes: u64,
}

impl Default for CmsConfig {
    fn default() -> Self {
        Self {
            pool: PoolConfig::default(),
            max_body_chars: 100_000,
            home: "/blog".to_owned(),
            comments: false,
            embeds: vec![Embed::Youtube, Embed::Vimeo],
            media: MediaConfig::default(),
            webhooks: WebhookConfig::default(),
        }
    }
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { allowed_networks: Vec::new(), ca_file: PathBuf::new(), timeout: Span::seconds(10) }
    }
}

impl WebhookConfig {
    /// How they are spoken to.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub(crate) fn outbound(&self) -> Result<Guarded, BadValue> {
        let bad = |key: &str, reason| BadValue { key: format!("cms.webhooks.{key}"), reason };
        let Span(patience) = self.timeout;
        let [least, most] = ANSWER;
        if !(least..=most).contains(&patience) {
            let reason = format!("must be between {} and {}", Span(least), Span(most));
            return Err(bad("timeout", reason));
        }
        let bounds = Bounds { at_once: AT_ONCE, patience, read: READ };
        Guarded::new(&self.ca_file, &self.allowed_networks, bounds)
            .map_err(|reason| bad("ca_file", reason))
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        let Limits { pixels, frames, memory, seconds } = Limits::default();
        Self {
            max_bytes: 25 * 1024 * 1024,
            max_pixels: pixels,
            max_frames: frames,
            memory_bytes: memory,
            max_seconds: seconds,
            workers: 0,
            waiting: 16,
            writer_quota_bytes: 1024 * 1024 * 1024,
            moderator_quota_bytes: 10 * 1024 * 1024 * 1024,
        }
    }
}

impl MediaConfig {
    /// What is taken of one picture.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits {
            pixels: self.max_pixels,
            frames: self.max_frames,
            memory: self.memory_bytes,
            seconds: self.max_seconds,
        }
    }

    /// How many are made at the same time.
    #[must_use]
    pub fn workers(&self) -> usize {
        match self.workers {
            0 => half_of_the_processors().min(MOST_WORKERS),
            workers => workers,
        }
    }

    /// How many bytes of files somebody of this rank may have, if there is a limit.
    #[must_use]
    pub fn quota(&self, role: Role) -> Option<u64> {
        let quota = if role >= Role::Admin {
            0
        } else if role >= Role::Moderator {
            self.moderator_quota_bytes
        } else {
            self.writer_quota_bytes
        };
        (quota > 0).then_some(quota)
    }

    fn check(&self) -> Result<(), BadValue> {
        let least_memory = 64 * 1024 * 1024;
        let within = [
            ("max_bytes", self.max_bytes, 1, MOST_FILE),
            ("max_pixels", self.max_pixels, 1, 268_000_000),
            ("max_frames", u64::from(self.max_frames), 1, 10_000),
            ("memory_bytes", self.memory_bytes, least_memory, 64 * 1024 * 1024 * 1024),
            ("max_seconds", self.max_seconds, 1, 600),
            ("workers", self.workers as u64, 0, MOST_WORKERS as u64),
            ("waiting", self.waiting as u64, 1, 256),
        ];
        let bad =
            within.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value));
        bad.map_or(Ok(()), |(key, _, least, most)| {
            let reason = format!("must be between {least} and {most}");
            Err(BadValue { key: format!("cms.media.{key}"), reason })
        })
    }
}

impl CmsConfig {
    /// Reads and checks the section.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason.
    pub fn parse(section: &Section) -> Result<Self, BadValue> {
        let config: Self = section.parse()?;
        config.pool.check("cms.pool")?;
        if !(1..=MOST_BODY_CHARS).contains(&config.max_body_chars) {
            return Err(BadValue {
                key: "cms.max_body_chars".to_owned(),
                reason: format!("must be between 1 and {MOST_BODY_CHARS}"),
            });
        }
        let is_path = config.home.len() > 1
            && config.home.starts_with('/')
            && !config.home.starts_with("//")
            && config.home.bytes().all(|b| b.is_ascii_graphic());
        if !is_path {
            return Err(BadValue {
                key: "cms.home".to_owned(),
                reason: "must be a path on this site, and another than /".to_owned(),
            });
        }
        config.media.check()?;
        Ok(config)
    }
}
