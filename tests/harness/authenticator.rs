//! A device that shows codes for a second factor (RFC 6238).

use panel_kernel::time::Clock;
use serde_json::{Value, json};

use crate::session::{PASSWORD, Session};

/// An authenticator that knows the secret of one account.
#[derive(Debug)]
pub struct Authenticator(totp_rs::Totp);

impl Authenticator {
    /// One that has scanned what `totp/enroll` has shown.
    ///
    /// # Panics
    /// If that is no such thing.
    #[must_use]
    pub fn of(enrolled: &Value) -> Self {
        let uri = enrolled["otpauth_uri"].as_str().unwrap();
        let device = totp_rs::Totp::from_url(uri).unwrap();
        assert_eq!(device.secret().to_base32(), enrolled["secret"].as_str().unwrap());
        Self(device)
    }

    /// Turns the second factor of an account on; with its recovery codes.
    pub async fn turn_on(session: &Session) -> (Self, Vec<String>) {
        let password = json!({"password": PASSWORD});
        let enrolled = session.post("/api/v2/auth/totp/enroll").json(&password).await.expect(201);
        let device = Self::of(&enrolled.json());
        let code = json!({"code": device.code()});
        let confirmed = session.post("/api/v2/auth/totp/confirm").json(&code).await.expect(200);
        let codes = serde_json::from_value(confirmed.json()["recovery_codes"].clone()).unwrap();
        (device, codes)
    }

    /// The secret, as it is typed.
    #[must_use]
    pub fn secret(&self) -> String {
        self.0.secret().to_base32()
    }

    /// What it shows now.
    #[must_use]
    pub fn code(&self) -> String {
        let now = Clock::system().now().as_seconds();
        self.0.generate(u64::try_from(now).unwrap()).to_string()
    }

    /// A code that is none of those that are good about now.
    #[must_use]
    pub fn wrong_code(&self) -> String {
        let now = u64::try_from(Clock::system().now().as_seconds()).unwrap();
        let about_now = [now - 60, now - 30, now, now + 30, now + 60];
        let good = about_now.map(|at| self.0.generate(at).to_string());
        (0..10).map(|digit| digit.to_string().repeat(6)).find(|code| !good.contains(code)).unwrap()
    }
}
