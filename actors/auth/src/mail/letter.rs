//! What is written to people.

use askama::Template;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::words::words;

/// To whom.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    /// The mail address.
    pub(crate) email: String,
    /// How to call them.
    pub(crate) name: String,
}

impl Recipient {
    /// Whoever reads what is sent there: of a name, nobody knows whether it is theirs, or what somebody
    /// else wants them to read.
    pub(crate) fn stranger(email: String) -> Self {
        Self { name: email.clone(), email }
    }
}

/// What about. Tokens are those of links.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    /// Prove that the address is yours.
    VerifyAddress { token: String },
    /// Prove that the address your account is to have is yours.
    NewAddress { token: String },
    /// Your account has another address from now on.
    AddressChanged,
    /// Somebody wants an account with your address, which has one.
    AddressTaken,
    /// You want an account with a name that somebody has.
    NameTaken,
    /// Make an account.
    Invitation { token: String },
    /// Choose another password.
    ResetPassword { token: String },
    /// The password was changed.
    PasswordChanged,
    /// A refresh token was used twice.
    SessionStolen,
    /// The second factor was turned on.
    FactorAdded,
    /// The second factor was turned off.
    FactorRemoved,
    /// An administrator has suspended your account.
    Suspended { reason: String, until: Option<Timestamp> },
    /// Somebody wants the account to have another address.
    AddressChangeAsked,
    /// An API key was made, of this name.
    ApiKeyMade { name: String },
    /// New recovery codes were made.
    RecoveryCodesRenewed,
    /// Somebody who has the password guesses at codes.
    FactorGuessed,
    /// A passkey was registered.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
    /// The account was erased.
    Erased,
    /// The account was linked to one at this provider.
    IdentityLinked { provider: String },
    /// The account is not linked to one at this provider any more.
    IdentityUnlinked { provider: String },
    /// There may be two of a passkey.
    PasskeyCopied,
    /// Somebody wants to have what there is of the account.
    ExportAsked,
    /// It is there, until then.
    ExportReady { until: Timestamp },
    /// It could not be put together.
    ExportFailed,
    /// Somebody signed in with a recovery code, of which so many are left.
    RecoveryCodeUsed { left: i64 },
    /// What another service has to tell.
    Requested(Requested),
}

/// What another service has to tell: plain text, as it is to be read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Requested {
    pub(crate) subject: String,
    pub(crate) paragraphs: Vec<String>,
    #[serde(default)]
    pub(crate) lines: Vec<Line>,
    /// The page at which whoever gets it says that they want no more of them, which a POST to it says as well.
    pub(crate) unsubscribe: Option<String>,
}

/// A line of a list, and where it leads.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) link: Option<String>,
}

/// A mail as it is kept and delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// Where whoever gets it says that they want no more of them (RFC 8058).
    #[serde(default)]
    pub(crate) unsubscribe: Option<String>,
}

/// What both forms are made of.
struct Content {
    subject: String,
    paragraphs: Vec<String>,
    lines: Vec<Line>,
    /// What to do, and where.
    link: Option<(&'static str, String)>,
    unsubscribe: Option<String>,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Text<'a> {
    name: &'a str,
    content: &'a Content,
    site: &'a str,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    name: &'a str,
    content: &'a Content,
    site: &'a str,
}

impl Letter {
    /// A word for logs and metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::VerifyAddress { .. } => "verify_address",
            Self::NewAddress { .. } => "new_address",
            Self::Invitation { .. } => "invitation",
            Self::AddressChanged => "address_changed",
            Self::AddressTaken => "address_taken",
            Self::NameTaken => "name_taken",
            Self::ResetPassword { .. } => "reset_password",
            Self::PasswordChanged => "password_changed",
            Self::SessionStolen => "session_stolen",
            Self::FactorAdded => "factor_added",
            Self::FactorRemoved => "factor_removed",
            Self::AddressChangeAsked => "address_change_asked",
            Self::ApiKeyMade { .. } => "api_key_made",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
            Self::FactorGuessed => "factor_guessed",
            Self::PasskeyAdded => "passkey_added",
            Self::PasskeyRemoved => "passkey_removed",
            Self::PasskeyCopied => "passkey_copied",
            Self::Suspended { .. } => "suspended",
            Self::Erased => "erased",
            Self::IdentityLinked { .. } => "identity_linked",
            Self::IdentityUnlinked { .. } => "identity_unlinked",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
            Self::ExportAsked => "export_asked",
            Self::ExportReady { .. } => "export_ready",
            Self::ExportFailed => "export_failed",
            Self::Requested(_) => "requested",
        }
    }

    /// Whether nobody waits for it: such letters go after others.
    pub(super) const fn is_bulk(&self) -> bool {
        matches!(self, Self::Requested(_))
    }

    /// The mail, from the site at this URL.
    pub(super) fn write(&self, to: &Recipient, site: &str) -> Result<Mail, askama::Error> {
        let content = self.content(site);
        let name = to.name.as_str();
        Ok(Mail {
            to: to.email.clone(),
            text: Text { name, content: &content, site }.render()?,
            html: Html { name, content: &content, site }.render()?,
            subject: content.subject,
            unsubscribe: content.unsubscribe,
        })
    }

    fn content(&self, site: &str) -> Content {
        if let Self::Requested(Requested { subject, paragraphs, lines, unsubscribe }) = self {
            return Content {
                subject: subject.clone(),
                paragraphs: paragraphs.clone(),
                lines: lines.clone(),
                link: None,
                unsubscribe: unsubscribe.clone(),
            };
        }
        let host = site.split_once("://").map_or(site, |(_, host)| host);
        let (first, second) = match self {
            Self::RecoveryCodeUsed { left } => (left.to_string(), String::new()),
            Self::ExportReady { until } => (until.to_string(), String::new()),
            Self::Suspended { reason, until: Some(until) } => (until.to_string(), reason.clone()),
            Self::Suspended { reason, until: None } => {
                ("further notice".to_owned(), reason.clone())
            }
            Self::ApiKeyMade { name } => (String::new(), name.clone()),
            Self::IdentityLinked { provider } | Self::IdentityUnlinked { provider } => {
                (provider.clone(), String::new())
            }
            _ => Default::default(),
        };
        // What somebody wrote comes last: nothing in it is filled in.
        let fill = |text: &str| {
            text.replace("{host}", host).replace("{first}", &first).replace("{second}", &second)
        };
        let (subject, paragraphs) = words(self);
        Content {
            subject: fill(subject),
            paragraphs: paragraphs.iter().map(|text| fill(text)).collect(),
            lines: Vec::new(),
            link: self.link(site),
            unsubscribe: None,
        }
    }

    /// What to do, and where. The token is behind the `#`, which browsers keep to themselves: it
    /// appears in no log.
    fn link(&self, site: &str) -> Option<(&'static str, String)> {
        let (what, page, token) = match self {
            Self::VerifyAddress { token } | Self::NewAddress { token } => {
                ("Confirm the address", "verify-email", token)
            }
            Self::Invitation { token } => ("Make an account", "join", token),
            Self::ResetPassword { token } => ("Choose another password", "reset-password", token),
            Self::ExportReady { .. } => {
                return Some(("Fetch it", format!("{site}/account-export")));
            }
            _ => return None,
        };
        Some((what, format!("{site}/{page}#{token}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same_and_names_are_no_markup() {
        let to = Recipient { email: "a@example.org".to_owned(), name: "<b>Ada & co".to_owned() };
        let letters = [
            Letter::VerifyAddress { token: "t0ken".to_owned() },
            Letter::NewAddress { token: "t0ken".to_owned() },
            Letter::Invitation { token: "t0ken".to_owned() },
            Letter::AddressChanged,
            Letter::AddressTaken,
            Letter::NameTaken,
            Letter::ResetPassword { token: "t0ken".to_owned() },
            Letter::PasswordChanged,
            Letter::SessionStolen,
            Letter::FactorAdded,
            Letter::ExportAsked,
            Letter::ExportReady { until: Timestamp::from_micros(0) },
            Letter::ExportFailed,
            Letter::AddressChangeAsked,
            Letter::ApiKeyMade { name: "<b>Ada & co".to_owned() },
            Letter::RecoveryCodesRenewed,
            Letter::FactorGuessed,
            Letter::PasskeyAdded,
            Letter::PasskeyRemoved,
            Letter::PasskeyCopied,
            Letter::FactorRemoved,
            Letter::RecoveryCodeUsed { left: 9 },
            Letter::Suspended { reason: "<b>Ada & co".to_owned(), until: None },
            Letter::Requested(Requested {
                subject: "New at panel.example".to_owned(),
                paragraphs: vec!["This is new:".to_owned()],
                lines: vec![Line {
                    text: "<b>Ada & co wrote".to_owned(),
                    link: Some("https://panel.example/<b>Ada".to_owned()),
                }],
                unsubscribe: Some("https://panel.example/no-more".to_owned()),
            }),
        ];
        for letter in letters {
            let mail = letter.write(&to, "https://panel.example").unwrap();
            assert!(mail.subject.contains("panel.example"), "{mail:?}");
            assert!(mail.text.contains("<b>Ada & co"), "{}", mail.text);
            assert!(!mail.html.contains("<b>Ada"), "{}", mail.html);
            assert!(mail.text.lines().all(|line| line.len() < 500), "{}", mail.text);
            let links =
                |text: &str| text.contains("https://panel.example/") && text.contains("#t0ken");
            assert_eq!(links(&mail.text), links(&mail.html));
            let has_link = matches!(
                letter,
                Letter::Invitation { .. }
                    | Letter::VerifyAddress { .. }
                    | Letter::NewAddress { .. }
                    | Letter::ResetPassword { .. }
            );
            assert_eq!(links(&mail.text), has_link);
        }
    }
}
