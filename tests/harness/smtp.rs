//! A mail server of the test's own: aiosmtpd, which keeps what it is sent.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::process::Process;

/// For a mail to arrive: the mailer looks every five seconds, and is told as well.
const ARRIVES: Duration = Duration::from_secs(15);

/// A server on a port of its own. It ends with the test, however that ends.
#[derive(Debug)]
pub struct Smtp {
    _process: Process,
    directory: TempDir,
    port: u16,
}

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail(pub Value);

impl Smtp {
    /// One that takes mail from anybody, without TLS.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One that takes it only with STARTTLS and from whoever has this name and password
    /// (`user:password`). `certificate` has the chain and `key` the key, in PEM.
    #[must_use]
    pub fn secured(certificate: &Path, key: &Path, login: &str) -> Self {
        let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap());
        Self::start_with(&["--certificate", certificate, "--key", key, "--login", login])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let directory = TempDir::with_prefix("panel-smtp-").unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/smtp_server.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg("--into").arg(directory.path()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command, "the mail server");
        let port = process.port();
        Self { _process: process, directory, port }
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What has come so far, in order.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            Mail(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        };
        paths.iter().map(read).collect()
    }

    /// The mail with this number, counted from 0, as soon as it has come.
    pub async fn mail(&self, number: usize) -> Mail {
        eventually(&format!("mail {number} arrives"), ARRIVES, async || {
            let mails = self.mails();
            mails.get(number).cloned().ok_or(mails)
        })
        .await
    }
}

impl Smtp {
    /// The mail with this number of those to this address, counted from 0, as soon as it has come.
    pub async fn mail_to(&self, address: &str, number: usize) -> Mail {
        eventually(&format!("mail {number} to {address} arrives"), ARRIVES, async || {
            let mails = self.mails();
            mails.iter().filter(|mail| mail.to() == address).nth(number).cloned().ok_or(mails)
        })
        .await
    }
}

impl Mail {
    /// To whom it was delivered.
    #[must_use]
    pub fn to(&self) -> &str {
        self.0["to"][0].as_str().unwrap()
    }

    /// What about.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0["headers"]["Subject"].as_str().unwrap()
    }

    /// What it says, in its plain form.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0["plain"].as_str().unwrap()
    }

    /// What it says, in HTML.
    #[must_use]
    pub fn html(&self) -> &str {
        self.0["html"].as_str().unwrap()
    }

    /// A line of its head.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }

    /// What is behind the `#` of the link in it, on this page.
    ///
    /// # Panics
    /// If there is no such link, in either form.
    #[must_use]
    pub fn token(&self, page: &str) -> String {
        let mark = format!("/{page}#");
        let tokens = ["plain", "html"].map(|form| {
            let text = self.0[form].as_str().unwrap();
            let rest = text.split_once(&mark).unwrap_or_else(|| panic!("no {mark} in {text}")).1;
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
            rest[..end.unwrap_or(rest.len())].to_owned()
        });
        assert_eq!(tokens[0], tokens[1]);
        tokens[0].clone()
    }
}
