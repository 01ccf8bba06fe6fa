//! What is written to people.

use askama::Template;
use serde::{Deserialize, Serialize};

/// To whom.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    /// The mail address.
    pub(crate) email: String,
    /// How to call them.
    pub(crate) name: String,
}

/// What about. Tokens are those of links.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    /// Prove that the address is yours.
    VerifyAddress { token: String },
    /// Somebody wants an account with your address, which has one.
    AddressTaken,
    /// You want an account with a name that somebody has.
    NameTaken,
    /// Choose another password.
    ResetPassword { token: String },
    /// The password was changed.
    PasswordChanged,
    /// A refresh token was used twice.
    SessionStolen,
}

/// A mail as it is kept and delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// What both forms are made of.
struct Content {
    subject: String,
    paragraphs: Vec<String>,
    /// What to do, and where.
    link: Option<(&'static str, String)>,
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
            Self::AddressTaken => "address_taken",
            Self::NameTaken => "name_taken",
            Self::ResetPassword { .. } => "reset_password",
            Self::PasswordChanged => "password_changed",
            Self::SessionStolen => "session_stolen",
        }
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
        })
    }

    fn content(&self, site: &str) -> Content {
        let host = site.split_once("://").map_or(site, |(_, host)| host);
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        // The token is behind the `#`, which browsers keep to themselves: it appears in no log.
        let link = |what, page: &str, token: &str| Some((what, format!("{site}/{page}#{token}")));
        match self {
            Self::VerifyAddress { token } => Content {
                subject: format!("Confirm your address for {host}"),
                paragraphs: lines(&[
                    "An account was made with this address. Confirm that it is yours to use it.",
                    "The link works for a day. If you did not make an account, do nothing.",
                ]),
                link: link("Confirm the address", "verify-email", token),
            },
            Self::AddressTaken => Content {
                subject: format!("You have an account at {host} already"),
                paragraphs: lines(&[
                    "Somebody, perhaps you, wants to make an account with this address, which has \
                     one. Nothing was changed.",
                    "If you have forgotten your password, you can choose another where you sign in.",
                ]),
                link: None,
            },
            Self::NameTaken => Content {
                subject: format!("The name you chose at {host} is taken"),
                paragraphs: lines(&[
                    "Somebody, perhaps you, wants to make an account with this address and a name \
                     that another account has. No account was made; choose another name.",
                ]),
                link: None,
            },
            Self::ResetPassword { token } => Content {
                subject: format!("Choose another password for {host}"),
                paragraphs: lines(&[
                    "Somebody, perhaps you, wants to choose another password for your account.",
                    "The link works once, for half an hour. If you do not want to, do nothing: \
                     nothing was changed.",
                ]),
                link: link("Choose another password", "reset-password", token),
            },
            Self::PasswordChanged => Content {
                subject: format!("Your password for {host} was changed"),
                paragraphs: lines(&[
                    "The password of your account was changed, and all other sessions were ended.",
                    "If that was not you, choose another password now with \u{201c}forgotten \
                     password\u{201d}, and tell an administrator.",
                ]),
                link: None,
            },
            Self::SessionStolen => Content {
                subject: format!("A session at {host} was ended"),
                paragraphs: lines(&[
                    "A key of one of your sessions was used twice, which happens when somebody has \
                     a copy of it. The session was ended; sign in again.",
                    "If you did not copy a browser profile or a backup, change your password.",
                ]),
                link: None,
            },
        }
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
            Letter::AddressTaken,
            Letter::NameTaken,
            Letter::ResetPassword { token: "t0ken".to_owned() },
            Letter::PasswordChanged,
            Letter::SessionStolen,
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
            let has_link =
                matches!(letter, Letter::VerifyAddress { .. } | Letter::ResetPassword { .. });
            assert_eq!(links(&mail.text), has_link);
        }
    }
}
