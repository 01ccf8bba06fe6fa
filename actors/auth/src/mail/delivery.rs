//! How mails leave: to an SMTP server, or into files where none is configured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use panel_kernel::config::BadValue;
use panel_kernel::ids::Id;
use panel_kernel::keys::write_private;

use super::MailConfig;
use super::letter::Mail;

/// For each step of the conversation with the server.
const STEP: Duration = Duration::from_secs(10);
/// For all of it.
const ALL: Duration = Duration::from_secs(30);
/// Where mail is handed in (RFC 6409, RFC 8314).
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;

/// Why a mail was not delivered. The texts name nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The server takes no mail at the moment, neither this one nor others.
    NoServer(String),
    /// It may be tried again.
    ForNow(String),
    /// The server will never take it.
    ForGood(String),
}

/// The way mails take, as configured.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    from: Mailbox,
    smtp: Option<AsyncSmtpTransportBuilder>,
}

/// The same, in use.
pub(crate) enum Carrier {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Files(PathBuf),
}

impl Delivery {
    /// By these settings.
    ///
    /// # Errors
    /// [`BadValue`] names the key and the reason, and no password.
    pub(crate) fn new(config: &MailConfig) -> Result<Self, BadValue> {
        let bad = |key: &str, reason: String| BadValue { key: format!("auth.mail.{key}"), reason };
        let from = config.from.parse().map_err(|error| bad("from", format!("{error}")))?;
        let smtp = if config.url.expose().is_empty() { None } else { Some(smtp(config)?) };
        Ok(Self { from, smtp })
    }

    /// Makes it ready. Without a server, mails go into `directory`.
    pub(super) fn carrier(&self, directory: PathBuf) -> Carrier {
        match &self.smtp {
            Some(smtp) => Carrier::Smtp(smtp.clone().build()),
            None => Carrier::Files(directory),
        }
    }

    /// The message, always the same for one mail: whoever gets it twice can tell.
    pub(super) fn message(&self, id: Id, mail: &Mail) -> Result<Message, Undelivered> {
        let never = |what: &str| Undelivered::ForGood(what.to_owned());
        let to: Mailbox = mail.to.parse().map_err(|_| never("the address is none"))?;
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut builder = Message::builder();
        if let Some(place) = &mail.unsubscribe {
            let one_click = "List-Unsubscribe=One-Click";
            for (name, value) in [
                ("List-Unsubscribe", format!("<{place}>")),
                ("List-Unsubscribe-Post", one_click.to_owned()),
            ] {
                let name = HeaderName::new_from_ascii_str(name);
                builder = builder.raw_header(HeaderValue::new(name, value));
            }
        }
        builder
            .from(self.from.clone())
            .to(to)
            .subject(&mail.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|_| never("it can't be written as a message"))
    }
}

fn smtp(config: &MailConfig) -> Result<AsyncSmtpTransportBuilder, BadValue> {
    let bad = |key: &str, reason: &str| BadValue {
        key: format!("auth.mail.{key}"),
        reason: reason.to_owned(),
    };
    let url = config.url.expose();
    let form = "must be smtp://user:password@host:587 or smtps://user:password@host:465";
    let uri: Uri = url.parse().map_err(|_| bad("url", form))?;
    let (Some(scheme @ ("smtp" | "smtps")), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(bad("url", form));
    };
    let builder =
        AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| bad("url", form))?;
    let builder = builder.timeout(Some(STEP));
    let inside = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    if config.plaintext && !inside {
        return Err(bad("plaintext", "is for a server on this machine"));
    }
    let mut parameters = TlsParameters::builder(host.to_owned());
    if !config.ca_file.as_os_str().is_empty() {
        let pem = std::fs::read(&config.ca_file)
            .map_err(|error| bad("ca_file", &format!("{}: {error}", config.ca_file.display())))?;
        let authority = Certificate::from_pem(&pem)
            .map_err(|_| bad("ca_file", "does not hold a certificate in PEM"))?;
        parameters = parameters.add_root_certificate(authority);
    }
    let parameters =
        parameters.build().map_err(|_| bad("url", "names no host TLS could be for"))?;
    let (tls, port) = match scheme {
        _ if config.plaintext => (Tls::None, SUBMISSION),
        "smtps" => (Tls::Wrapper(parameters), SUBMISSIONS),
        _ => (Tls::Required(parameters), SUBMISSION),
    };
    Ok(builder.tls(tls).port(uri.port_u16().unwrap_or(port)))
}

impl Carrier {
    /// Delivers a message.
    ///
    /// # Errors
    /// [`Undelivered`] says whether it makes sense to try again.
    pub(super) async fn deliver(&self, id: Id, message: Message) -> Result<(), Undelivered> {
        match self {
            Self::Files(directory) => file(directory, id, &message)
                .map_err(|error| Undelivered::NoServer(format!("it can't be written: {error}"))),
            Self::Smtp(smtp) => match tokio::time::timeout(ALL, smtp.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(undelivered(&error)),
                Err(_) => Err(Undelivered::NoServer("the mail server took too long".to_owned())),
            },
        }
    }
}

fn file(directory: &Path, id: Id, message: &Message) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    write_private(&directory.join(format!("{id}.eml")), &message.formatted())
}

/// Says what is wrong without saying for whom: servers like to repeat the address.
fn undelivered(error: &lettre::transport::smtp::Error) -> Undelivered {
    let Some(code) = error.status().map(u16::from) else {
        let what = if error.is_timeout() {
            "the mail server did not answer in time"
        } else if error.is_tls() || is_handshake(error) {
            "the mail server's TLS or certificate is not as it should be"
        } else {
            "the mail server can't be reached"
        };
        return Undelivered::NoServer(what.to_owned());
    };
    let what = format!("the mail server answered {code}");
    // 421: it is about to close (RFC 5321). 454, 530 to 538: it does not take our name and password
    // (RFC 4954), which may be mended.
    match code {
        421 | 454 | 530..=538 => Undelivered::NoServer(what),
        _ if error.is_permanent() => Undelivered::ForGood(what),
        _ => Undelivered::ForNow(what),
    }
}

/// Whether the connection failed because of what was said in the TLS handshake.
fn is_handshake(error: &dyn std::error::Error) -> bool {
    std::iter::successors(error.source(), |cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::InvalidData)
}

#[cfg(test)]
mod tests {
    use panel_kernel::secret::SecretUrl;

    use super::*;

    fn configured(url: &str, plaintext: bool) -> Result<Delivery, String> {
        let url = SecretUrl::new(url);
        Delivery::new(&MailConfig { url, plaintext, ..MailConfig::default() })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_checked_and_passwords_kept() {
        assert!(configured("", false).unwrap().smtp.is_none());
        for good in ["smtp://mail.example.org", "smtps://a:b@mail.example.org:465"] {
            assert!(configured(good, false).unwrap().smtp.is_some(), "{good}");
        }
        assert!(configured("smtp://127.0.0.1:2525", true).is_ok());
        for bad in ["mail.example.org", "http://mail.example.org", "smtp://", "smtp://a:s3cret@/"] {
            let why = configured(bad, false).unwrap_err();
            assert!(why.starts_with("auth.mail.url: ") && !why.contains("s3cret"), "{why}");
        }
        let why = configured("smtp://mail.example.org", true).unwrap_err();
        assert_eq!(why, "auth.mail.plaintext: is for a server on this machine");
        let from = MailConfig { from: "nobody".to_owned(), ..MailConfig::default() };
        assert!(Delivery::new(&from).unwrap_err().to_string().starts_with("auth.mail.from: "));
    }

    #[test]
    fn a_message_has_both_forms_and_says_that_nobody_wrote_it() {
        let delivery = configured("", false).unwrap();
        let mail = Mail {
            to: "Zoë@example.org".to_owned(),
            subject: "Grüße".to_owned(),
            text: "text".to_owned(),
            html: "<p>html</p>".to_owned(),
            unsubscribe: Some("https://panel.example/no-more".to_owned()),
        };
        let id: Id = Id::from_raw(77);
        // An address beyond ASCII is fine; one that is none is refused for good.
        let text = String::from_utf8(delivery.message(id, &mail).unwrap().formatted()).unwrap();
        for part in [
            "Auto-Submitted: auto-generated",
            "List-Unsubscribe: <https://",
            "text/plain",
            "text/html",
            "Message-ID: <",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let nobody = Mail { to: "a b@".to_owned(), ..mail };
        assert!(matches!(delivery.message(id, &nobody), Err(Undelivered::ForGood(_))));
    }
}
