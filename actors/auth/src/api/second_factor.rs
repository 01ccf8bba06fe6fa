//! A second factor, as somebody shows it beside the password.

use panel_kernel::data::{Audit, Tx, WriteContext};
use panel_kernel::ids::Id;
use panel_kernel::keys::SealingKey;
use panel_kernel::time::Timestamp;

use crate::error::AuthError;
use crate::rules::totp;
use crate::store::factors::{self, TotpRow};

/// Seals the secrets that codes are made of. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Factors(pub(crate) SealingKey);

/// What was given.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Nothing,
    Totp(String),
    Recovery(String),
}

impl Given {
    /// The one that is there; of two, the code by time.
    pub(super) fn of(totp_code: Option<String>, recovery_code: Option<String>) -> Self {
        match (totp_code, recovery_code) {
            (Some(code), _) => Self::Totp(code),
            (None, Some(code)) => Self::Recovery(code),
            (None, None) => Self::Nothing,
        }
    }
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// The account has no second factor.
    Needless,
    /// It was the right code.
    Totp,
    /// It was a recovery code, of which so many are left.
    Recovery(i64),
}

impl Factors {
    pub(super) fn seal(&self, user: Id, secret: &[u8]) -> Result<Vec<u8>, AuthError> {
        let sealed = self.0.seal(&user.raw().to_be_bytes(), secret);
        sealed.map_err(|error| AuthError::Crypto(error.to_string()))
    }

    /// The step of a code, if it is good and was not used.
    pub(super) fn step(
        &self,
        user: Id,
        row: &TotpRow,
        code: &str,
        now: Timestamp,
    ) -> Result<i64, AuthError> {
        let secret = self.0.open(&user.raw().to_be_bytes(), &row.sealed);
        let secret = secret.map_err(|error| AuthError::Crypto(error.to_string()))?;
        totp::check(&secret, code, now, row.last_step).map_err(|_| AuthError::BadFactor)
    }

    /// Checks what was given, where the account asks for it, and uses it up.
    ///
    /// # Errors
    /// [`AuthError::FactorRequired`] where nothing was given, [`AuthError::BadFactor`] where it is not
    /// right, or was used before.
    pub(super) async fn pass(
        &self,
        tx: &mut Tx,
        user: Id,
        given: &Given,
        context: &WriteContext,
    ) -> Result<Passed, AuthError> {
        let row = factors::totp(tx, user).await?.filter(TotpRow::is_confirmed);
        let Some(row) = row else { return Ok(Passed::Needless) };
        match given {
            Given::Nothing => Err(AuthError::FactorRequired),
            Given::Totp(code) => {
                let step = self.step(user, &row, code, context.now)?;
                let first = factors::use_step(tx, user, step).await?;
                if first { Ok(Passed::Totp) } else { Err(AuthError::BadFactor) }
            }
            Given::Recovery(code) => {
                let hash = totp::recovery_hash(user, code);
                if !factors::use_recovery_code(tx, user, hash).await? {
                    return Err(AuthError::BadFactor);
                }
                let left = factors::recovery_codes_left(tx, user).await?;
                tx.audit(&Audit {
                    action: "recovery_code.use",
                    target: format!("user:{user}"),
                    before: None,
                    after: Some(serde_json::json!({"left": left})),
                    context,
                });
                Ok(Passed::Recovery(left))
            }
        }
    }
}
