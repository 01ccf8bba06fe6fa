//! Mail: written in the transaction of what it is about, delivered afterwards.
//!
//! ```text
//! handler ── Post::send in its transaction ──▶ table mails (sealed)
//!         └─ Post::ring after the commit ────▶ mailer ── Delivery ──▶ SMTP server, or a file
//! ```

mod config;
mod delivery;
mod letter;
mod mailer;
mod post;
mod words;

pub(crate) use config::MailConfig;
pub(crate) use delivery::Delivery;
pub(crate) use letter::{Letter, Recipient, Requested};
pub(crate) use mailer::Mailer;
pub(crate) use post::Post;
