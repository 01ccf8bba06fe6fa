//! The `[auth.mail]` section.

use std::path::PathBuf;

use panel_kernel::secret::SecretUrl;
use serde::{Deserialize, Serialize};

/// How mail leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// `smtp://user:password@host:587` (with STARTTLS) or `smtps://user:password@host:465`. Empty:
    /// mails are written to files.
    pub url: SecretUrl,
    /// Whom mails are from: `Panel <panel@example.org>`.
    pub from: String,
    /// The authority of the server's certificate (PEM), if it is none of the public ones.
    pub ca_file: PathBuf,
    /// Without TLS, to a server on this machine.
    pub plaintext: bool,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            url: SecretUrl::new(""),
            from: "Panel <panel@localhost>".to_owned(),
            ca_file: PathBuf::new(),
            plaintext: false,
        }
    }
}
