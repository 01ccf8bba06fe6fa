//! Whether a password is known from a breach, asked of a service without telling it the password: it is
//! told the first twenty bits of the SHA-1 and gives all that begin so (k-anonymity, as Have I Been
//! Pwned has it). Off unless a service is named; if it does not answer, every password is fine.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::Request;
use panel_kernel::config::BadValue;
use panel_kernel::identity::stays_private;
use panel_kernel::ids::hex;
use panel_kernel::outbound::{Outbound, OutboundError};
use panel_kernel::problem::Problem;
use prometheus::IntCounterVec;

/// What is known by its first hexadecimal digits.
const PREFIX: usize = 5;
/// Nobody waits longer than this to choose a password.
const PATIENCE: Duration = Duration::from_secs(2);
/// Passwords that are looked up at one time.
const AT_ONCE: usize = 8;

/// A service that knows them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Breaches(Option<Service>);

#[derive(Clone, Debug)]
struct Service {
    url: String,
    outbound: Outbound,
}

impl Breaches {
    /// The one at this URL; none, if that is empty.
    ///
    /// # Errors
    /// [`BadValue`] if it is none.
    pub(crate) fn new(url: &str) -> Result<Self, BadValue> {
        if url.is_empty() {
            return Ok(Self(None));
        }
        let bad = |reason: String| BadValue { key: "auth.breach_url".to_owned(), reason };
        let is_url = url.starts_with("https://") || url.starts_with("http://");
        if !is_url || !stays_private(url) || Request::get(url).body(()).is_err() {
            return Err(bad("must be an https URL (http for this machine alone)".to_owned()));
        }
        let outbound = Outbound::new(Path::new(""), AT_ONCE).map_err(bad)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self(Some(Service { url, outbound })))
    }

    /// Refuses a password that is known.
    pub(crate) async fn check(
        &self,
        field: &str,
        password: &str,
        outcomes: &IntCounterVec,
    ) -> Result<(), Problem> {
        let Some(service) = &self.0 else { return Ok(()) };
        let known = tokio::time::timeout(PATIENCE, service.knows(password)).await;
        let (outcome, known) = match known {
            Ok(Ok(known)) => ("answered", known),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the breach service does not answer; the password is taken");
                ("unavailable", false)
            }
            Err(_) => {
                tracing::warn!("the breach service is too slow; the password is taken");
                ("unavailable", false)
            }
        };
        outcomes.with_label_values(&["breach", outcome]).inc();
        if known {
            let message = "is known from a breach of another site; choose another";
            return Err(Problem::field(field, "breached", message));
        }
        Ok(())
    }
}

impl Service {
    async fn knows(&self, password: &str) -> Result<bool, OutboundError> {
        let (prefix, rest) = split(password);
        let unsound = |why: String| OutboundError::Unreachable(why);
        let request = Request::get(format!("{}/{prefix}", self.url))
            // So that the length of the answer tells nobody which it was.
            .header("add-padding", "true")
            .body(Vec::new())
            .map_err(|error| unsound(error.to_string()))?;
        let answer = self.outbound.send(request).await?;
        if !answer.status().is_success() {
            return Err(unsound(format!("it answered {}", answer.status().as_u16())));
        }
        Ok(lists(&String::from_utf8_lossy(answer.body()), &rest))
    }
}

/// What is told of a password, and what is not.
fn split(password: &str) -> (String, String) {
    let hash = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref());
    let mut prefix = hash.to_uppercase();
    let rest = prefix.split_off(PREFIX);
    (prefix, rest)
}

/// Whether it is among them: lines of what is left of a hash, and how often it was seen. What was
/// never seen is padding.
fn lists(answer: &str, rest: &str) -> bool {
    let mut pairs = answer.lines().filter_map(|line| line.trim().split_once(':'));
    pairs.any(|(hash, times)| {
        hash.eq_ignore_ascii_case(rest) && times.trim().parse::<u64>().is_ok_and(|it| it > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_looked_up_by_a_part_of_its_hash() {
        let (prefix, rest) = split("password");
        assert_eq!(
            (prefix.as_str(), rest.as_str()),
            ("5BAA6", "1E4C9B93F3F0682250B6CF8331B7EE68FD8")
        );
        let line =
            |times: &str| format!("0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n{rest}:{times}\r\n");
        assert!(lists(&line("9"), &rest) && lists(&line("9").to_lowercase(), &rest));
        assert!(!lists(&line("0"), &rest), "padding");
        assert!(!lists(&line("x"), &rest) && !lists("", &rest) && !lists(&rest, &rest));
    }

    #[test]
    fn a_service_is_asked_in_private() {
        for bad in ["example.org", "http://example.org", "ftp://example.org", "https://"] {
            assert_eq!(Breaches::new(bad).unwrap_err().key, "auth.breach_url", "{bad}");
        }
        assert!(Breaches::new("").unwrap().0.is_none());
        assert!(Breaches::new("https://api.pwnedpasswords.com/range").unwrap().0.is_some());
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_answers_is_read(answer: String) {
            lists(&answer, "1E4C9B93F3F0682250B6CF8331B7EE68FD8");
        }
    }
}
