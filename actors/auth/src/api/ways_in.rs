//! Whether somebody can still sign in to an account.

use panel_kernel::data::Tx;
use panel_kernel::ids::Id;

use crate::error::AuthError;
use crate::federation::Federation;
use crate::store::{identities, locks, passkeys};

/// Whether there is a way: a password, a passkey, or an account at a provider that is there.
pub(super) async fn any(tx: &mut Tx, user: Id, federation: &Federation) -> Result<bool, AuthError> {
    if locks::lock(tx, user).await?.is_some() || !passkeys::of_user(tx, user).await?.is_empty() {
        return Ok(true);
    }
    let linked = identities::of_user(tx, user).await?;
    Ok(linked.iter().any(|row| federation.of_issuer(&row.issuer).is_some()))
}
