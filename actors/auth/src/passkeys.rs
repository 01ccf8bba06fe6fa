//! Passkeys (W3C Web Authentication, Level 3): what a browser is asked, and whether its answer is good.
//!
//! Every passkey is one that the device finds by itself and unlocks by knowing its owner. So nobody
//! needs to say who they are before, nothing tells whether there is such an account, and a passkey is
//! both factors in one.
//!
//! What was asked is carried by the client, sealed, for five minutes, and finished once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::ids::Id;
use panel_kernel::keys::ClusterKey;
use panel_kernel::message::User;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::carried::{Carrier, Returned};
use crate::error::AuthError;

/// How long a ceremony may take.
pub(crate) const CEREMONY: Duration = Duration::from_secs(300);
/// A sealed ceremony is shorter than this, also where it names as many passkeys as an account may have,
/// of the longest ids there are.
const CEREMONY_CHARS: usize = 64 * 1024;

/// What the browser is asked for, with what goes back with its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ceremony: String,
    /// For `navigator.credentials`.
    pub(crate) public_key: Value,
}

/// What an answer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is good. The passkey as it is to be kept from now on, where that is another.
    Good(Option<String>),
    /// It is good but for its count, which has gone back: there may be two of the passkey.
    CountsBack,
}

/// A passkey as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) passkey: String,
}

/// Asks and checks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Passkeys {
    /// `None` where the site has no name that a browser would accept.
    site: Option<Arc<Webauthn>>,
    carrier: Carrier,
}

impl Passkeys {
    /// For the site at this URL.
    pub(crate) fn new(public_url: &str, key: &ClusterKey) -> Self {
        Self {
            site: site(public_url).map(Arc::new),
            carrier: Carrier::new(key, "auth passkey ceremonies", CEREMONY_CHARS),
        }
    }

    fn site(&self) -> Result<&Webauthn, AuthError> {
        self.site.as_deref().ok_or(AuthError::NoPasskeysHere)
    }

    /// Asks for a new passkey of who is signed in, on a device that has none of `known`; from `now` on,
    /// and `until` then at the latest.
    pub(crate) fn ask_for_new(
        &self,
        user: &User,
        (name, display_name): (&str, &str),
        known: Vec<Vec<u8>>,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Asked, AuthError> {
        let (challenge, state) = self
            .site()?
            .start_passkey_registration(handle(user.id), name, display_name, Some(known))
            .map_err(|error| AuthError::Crypto(error.to_string()))?;
        let until = until.min(now.plus(CEREMONY));
        let mut asked = self.asked(&challenge, state, &purpose(Some(user)), until)?;
        let left = u64::try_from(now.until(until).as_millis()).unwrap_or(u64::MAX);
        asked.public_key["timeout"] = left.into();
        if let Some(selection) = asked.public_key["authenticatorSelection"].as_object_mut() {
            selection.insert("residentKey".to_owned(), "required".into());
            selection.insert("requireResidentKey".to_owned(), true.into());
        }
        Ok(asked)
    }

    /// Checks a new passkey of who is signed in.
    pub(crate) fn new_one(
        &self,
        user: &User,
        (ceremony, answer): (&str, &RegisterPublicKeyCredential),
        now: Timestamp,
    ) -> Result<(Registered, Returned), AuthError> {
        let (state, returned) =
            self.returned::<PasskeyRegistration>(ceremony, &purpose(Some(user)), now)?;
        let passkey = self.site()?.finish_passkey_registration(answer, &state);
        let passkey = passkey.map_err(|error| bad(&error))?;
        let credential_id = passkey.cred_id().clone();
        Ok((Registered { credential_id, passkey: text(&passkey)? }, returned))
    }

    /// Asks for any passkey of this site.
    pub(crate) fn ask_for_any(&self, now: Timestamp) -> Result<Asked, AuthError> {
        let started = self.site()?.start_discoverable_authentication();
        let (challenge, state) = started.map_err(|error| AuthError::Crypto(error.to_string()))?;
        self.asked(&challenge, state, &purpose(None), now.plus(CEREMONY))
    }

    /// Checks what `passkey`, which is `user`'s, has answered.
    pub(crate) fn check(
        &self,
        (user, passkey): (Id, &str),
        (ceremony, answer): (&str, &PublicKeyCredential),
        now: Timestamp,
    ) -> Result<(Checked, Returned), AuthError> {
        let (state, returned) =
            self.returned::<DiscoverableAuthentication>(ceremony, &purpose(None), now)?;
        let site = self.site()?;
        let (whose, _) =
            site.identify_discoverable_authentication(answer).map_err(|error| bad(&error))?;
        if whose != handle(user) {
            return Err(AuthError::BadPasskey);
        }
        let kept = serde_json::from_str::<Passkey>(passkey);
        let mut kept = kept.map_err(|error| AuthError::Crypto(error.to_string()))?;
        let key = DiscoverableKey::from(&kept);
        let checked = site.finish_discoverable_authentication_v2(answer, state, &key);
        let checked = match checked {
            Err(WebauthnError::CredentialPossibleCompromise) => {
                return Ok((Checked::CountsBack, returned));
            }
            checked => checked.map_err(|error| bad(&error))?,
        };
        if !checked.user_verified() {
            return Err(AuthError::BadPasskey);
        }
        let changed = kept.update_credential(&checked).unwrap_or(false);
        let changed = if changed { Some(text(&kept)?) } else { None };
        Ok((Checked::Good(changed), returned))
    }

    fn asked<C: Serialize, S: Serialize>(
        &self,
        challenge: &C,
        state: S,
        purpose: &[u8],
        until: Timestamp,
    ) -> Result<Asked, AuthError> {
        let challenge = serde_json::to_value(challenge);
        let mut challenge = challenge.map_err(|error| AuthError::Crypto(error.to_string()))?;
        let ceremony = self.carrier.seal(purpose, state, until)?;
        Ok(Asked { ceremony, public_key: challenge["publicKey"].take() })
    }

    fn returned<S: DeserializeOwned>(
        &self,
        ceremony: &str,
        purpose: &[u8],
        now: Timestamp,
    ) -> Result<(S, Returned), AuthError> {
        self.carrier.open(purpose, ceremony, now).ok_or(AuthError::BadPasskey)
    }
}

/// A ceremony is good for what it was begun for: a new passkey, in the session that wants it.
fn purpose(user: Option<&User>) -> Vec<u8> {
    let (user, session) = user.map_or((0, 0), |user| (user.id.raw(), user.session.raw()));
    [&b"passkey ceremony"[..], &user.to_be_bytes(), &session.to_be_bytes()].concat()
}

/// How devices know an account.
fn handle(user: Id) -> Uuid {
    Uuid::from_u128(u128::from(user.raw().unsigned_abs()))
}

fn site(public_url: &str) -> Option<Webauthn> {
    let mut url = Url::parse(public_url).ok()?;
    // Browsers want a name, also of this machine.
    let is_loopback = is_loopback(&url);
    if is_loopback {
        url.set_host(Some("localhost")).ok()?;
    }
    let name = url.domain()?.to_owned();
    let builder = WebauthnBuilder::new(&name, &url).ok()?.rp_name(&name).timeout(CEREMONY);
    builder.allow_any_port(is_loopback).build().ok()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn bad(error: &WebauthnError) -> AuthError {
    tracing::debug!(%error, "a passkey was refused");
    AuthError::BadPasskey
}

fn text(passkey: &Passkey) -> Result<String, AuthError> {
    serde_json::to_string(passkey).map_err(|error| AuthError::Crypto(error.to_string()))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use panel_kernel::role::Role;

    use super::*;
    use crate::rules::MAX_PASSKEYS;

    fn user(id: i64, session: i64) -> User {
        let (id, session) = (Id::from_raw(id), Id::from_raw(session));
        User { id, session, role: Role::User, name: String::new(), scopes: None }
    }

    fn passkeys(url: &str) -> Passkeys {
        Passkeys::new(url, &ClusterKey::from_bytes([7; 32]))
    }

    #[test]
    fn a_site_has_a_name_that_browsers_take() {
        for url in [
            "https://panel.example",
            "http://localhost:5000",
            "http://127.0.0.1:5000",
            "http://[::1]:5",
        ] {
            assert!(passkeys(url).site.is_some(), "{url}");
        }
        for url in ["https://10.0.0.1", "http://[2001:db8::1]", "nonsense", ""] {
            assert!(passkeys(url).site.is_none(), "{url}");
        }
    }

    #[test]
    fn a_ceremony_is_good_for_one_thing_and_for_five_minutes() {
        let passkeys = passkeys("https://panel.example");
        let now = Timestamp::from_seconds(1_800_000_000);
        let asked = passkeys.ask_for_any(now).unwrap();
        let back = |purpose: &[u8], seconds: u64| {
            let at = now.plus(Duration::from_secs(seconds));
            passkeys.returned::<DiscoverableAuthentication>(&asked.ceremony, purpose, at).is_ok()
        };
        assert!(back(&purpose(None), 0) && back(&purpose(None), 299));
        assert!(!back(&purpose(None), 300), "too late");
        assert!(!back(&purpose(Some(&user(1, 1))), 0), "another purpose");
        let other = Passkeys::new("https://panel.example", &ClusterKey::from_bytes([8; 32]));
        let purpose = purpose(None);
        assert!(other.returned::<Value>(&asked.ceremony, &purpose, now).is_err());
    }

    #[test]
    fn a_new_passkey_is_for_the_session_that_wants_it_while_that_is_fresh() {
        let passkeys = passkeys("https://panel.example");
        let now = Timestamp::from_seconds(1_800_000_000);
        let asked = |fresh_for: u64| {
            let until = now.plus(Duration::from_secs(fresh_for));
            passkeys.ask_for_new(&user(1, 1), ("ada", "Ada"), Vec::new(), (now, until)).unwrap()
        };
        let (long, short) = (asked(900), asked(100));
        assert_eq!(long.public_key["timeout"], 300_000);
        assert_eq!(short.public_key["timeout"], 100_000);
        let back = |asked: &Asked, whose: &User, seconds: u64| {
            let (at, purpose) = (now.plus(Duration::from_secs(seconds)), purpose(Some(whose)));
            passkeys.returned::<PasskeyRegistration>(&asked.ceremony, &purpose, at).is_ok()
        };
        assert!(back(&long, &user(1, 1), 299) && !back(&long, &user(1, 1), 300));
        assert!(back(&short, &user(1, 1), 99) && !back(&short, &user(1, 1), 100));
        assert!(!back(&long, &user(1, 2), 0), "another session");
        assert!(!back(&long, &user(2, 1), 0), "another account");
    }

    #[test]
    fn a_ceremony_may_name_as_many_passkeys_as_there_may_be() {
        let passkeys = passkeys("https://panel.example");
        let now = Timestamp::from_seconds(1_800_000_000);
        // Ids are 1,023 bytes at most (W3C Web Authentication, Level 3, 4).
        let known = (0..MAX_PASSKEYS).map(|_| vec![0xff; 1_023]).collect();
        let span = (now, now.plus(CEREMONY));
        let asked = passkeys.ask_for_new(&user(1, 1), ("ada", "Ada"), known, span).unwrap();
        let purpose = purpose(Some(&user(1, 1)));
        assert!(passkeys.returned::<PasskeyRegistration>(&asked.ceremony, &purpose, now).is_ok());
    }

    #[test]
    fn accounts_have_handles_of_their_own() {
        assert_ne!(handle(Id::from_raw(1)), handle(Id::from_raw(2)));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_back_is_read_or_refused(ceremony: String, json: Vec<u8>) {
            let passkeys = passkeys("https://panel.example");
            let now = Timestamp::from_seconds(0);
            proptest::prop_assert!(passkeys.returned::<Value>(&ceremony, b"", now).is_err());
            let _: Result<PublicKeyCredential, _> = serde_json::from_slice(&json);
        }

        #[test]
        fn attestations_of_any_shape_are_refused_and_no_more(bytes: Vec<u8>) {
            let passkeys = passkeys("https://panel.example");
            let (user, now) = (user(1, 1), Timestamp::from_seconds(1));
            let until = now.plus(CEREMONY);
            let asked = passkeys.ask_for_new(&user, ("ada", "Ada"), Vec::new(), (now, until));
            let asked = asked.unwrap();
            let client = serde_json::json!({
                "type": "webauthn.create", "challenge": asked.public_key["challenge"],
                "origin": "https://panel.example", "crossOrigin": false,
            });
            let answer = serde_json::json!({
                "id": "AA", "rawId": "AA", "type": "public-key", "response": {
                    "attestationObject": URL_SAFE_NO_PAD.encode(&bytes),
                    "clientDataJSON": URL_SAFE_NO_PAD.encode(client.to_string()),
                },
            });
            let answer: RegisterPublicKeyCredential = serde_json::from_value(answer).unwrap();
            let given = (asked.ceremony.as_str(), &answer);
            proptest::prop_assert!(passkeys.new_one(&user, given, now).is_err());
        }
    }
}
