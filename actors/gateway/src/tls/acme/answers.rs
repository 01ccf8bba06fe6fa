//! What the authority is shown of a host: by any gateway, whichever has asked for the certificate.
//!
//! Anybody can ask for it. So few look at a time, the others are told to come again, and what could not be a
//! token or a host is not looked for.

use std::sync::Arc;

use panel_kernel::data::{Database, DbError};
use panel_kernel::problem::{Kind, Problem};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::sync::Semaphore;

use super::store;

/// What an authority speaks in a handshake in which it wants to see nothing else (RFC 8737, 3).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";
/// Where it asks in the clear (RFC 8555, 8.3).
const PATH: &str = "/.well-known/acme-challenge/";
/// Who look at one time.
const LOOKING: usize = 4;
/// The longest token: those there are have 43 characters.
const LONGEST: usize = 128;

/// The answers there are. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    db: Database,
    looking: Arc<Semaphore>,
}

impl Answers {
    pub(super) fn new(db: Database) -> Self {
        Self { db, looking: Arc::new(Semaphore::new(LOOKING)) }
    }

    /// The token, if an authority asks by this path.
    pub(crate) fn token(path: &str) -> Option<&str> {
        path.strip_prefix(PATH)
    }

    /// What is answered to this token.
    ///
    /// # Errors
    /// 404 for one that is nobody's, 503 if it can't be known.
    pub(crate) async fn to_token(&self, token: &str) -> Result<String, Problem> {
        let is_one = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let nobodys = || Problem::new(Kind::NotFound, "nobody is asked for that");
        if token.is_empty() || token.len() > LONGEST || !token.bytes().all(is_one) {
            return Err(nobodys());
        }
        let found = self.look(async |db| {
            let now = db.clock().now();
            store::answer_to_token(&mut db.reader().await?, token, now).await
        });
        found.await?.ok_or_else(nobodys)
    }

    /// What is shown in a handshake for this host; `None` if there is nothing to show.
    pub(crate) async fn in_handshake(&self, host: &str) -> Option<Arc<ServerConfig>> {
        let host = host.to_ascii_lowercase();
        let found = self.look(async |db| {
            let now = db.clock().now();
            store::answer_for_host(&mut db.reader().await?, &host, now).await
        });
        let answer = found.await.ok()??;
        match shown(&host, &answer) {
            Ok(config) => Some(Arc::new(config)),
            Err(why) => {
                tracing::error!(why, "nothing can be shown to the authority");
                None
            }
        }
    }

    async fn look(
        &self,
        find: impl AsyncFnOnce(&Database) -> Result<Option<String>, DbError>,
    ) -> Result<Option<String>, Problem> {
        let busy = || Problem::new(Kind::Unavailable, "too many ask for that").retry_after(1);
        let _turn = self.looking.try_acquire().map_err(|_| busy())?;
        find(&self.db).await.map_err(Problem::from)
    }
}

/// A certificate for that host which nobody believes in, with the answer's hash in it (RFC 8737, 3).
fn shown(host: &str, answer: &str) -> Result<ServerConfig, String> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, answer.as_bytes());
    let said = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new([host.to_owned()]).map_err(said)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(said)?;
    let chain: Vec<CertificateDer<'static>> =
        vec![params.self_signed(&key).map_err(said)?.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let said = |error: rustls::Error| error.to_string();
    let key = provider.key_provider.load_private_key(key).map_err(said)?;
    // Not looked through as others are: what it has in it is critical, and of use to nobody but an authority.
    let certified = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(said)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certified));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_names_the_host_and_has_the_answers_hash_in_it() {
        let config = shown("a.example", "token.thumbprint").unwrap();
        assert_eq!(config.alpn_protocols, [ACME_TLS.to_vec()]);
        assert!(shown("not a host\u{e9}", "x").is_err());
    }

    #[test]
    fn an_authority_asks_by_one_path_alone() {
        assert_eq!(Answers::token("/.well-known/acme-challenge/abc"), Some("abc"));
        for path in ["/.well-known/acme-challenge", "/", "/a/.well-known/acme-challenge/abc"] {
            assert_eq!(Answers::token(path), None, "{path}");
        }
    }
}
