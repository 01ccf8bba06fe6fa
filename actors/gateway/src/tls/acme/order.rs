//! One order: what is asked of the authority, and what it wants to see before it issues a certificate
//! (RFC 8555, 7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use panel_kernel::data::{DbError, Lease};
use zeroize::Zeroizing;

use super::{Acme, store};

/// How long the authority may take to look, and to issue.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(60));
/// How long an answer stays: longer than any order takes.
const ANSWER: Duration = Duration::from_secs(600);

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The authority said so, or could not be asked.
    #[error("{0}")]
    Authority(#[from] Error),
    /// The authority has looked, and not found what it should have; in its words.
    #[error("{0}")]
    NotShown(String),
    /// A fault of this side.
    #[error("{0}")]
    Own(String),
    /// The database can't be used.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl OrderError {
    /// What the authority calls it, without what all its names begin with.
    fn kind(&self) -> Option<&str> {
        let Self::Authority(Error::Api(problem)) = self else { return None };
        problem.r#type.as_deref()?.strip_prefix("urn:ietf:params:acme:error:")
    }

    /// Whether the authority does not know the account.
    pub(super) fn is_unknown_account(&self) -> bool {
        self.kind() == Some("accountDoesNotExist")
    }

    /// Whether it was asked too often.
    pub(super) fn is_too_often(&self) -> bool {
        self.kind() == Some("rateLimited")
    }
}

/// What was issued.
#[derive(Debug)]
pub(super) struct Issued {
    /// The certificate and those above it, in PEM.
    pub(super) chain: String,
    /// In PEM.
    pub(super) key: Zeroizing<String>,
}

impl Acme {
    /// Has a certificate issued. `failures`: how many times in a row that has failed, which decides what the
    /// authority is shown.
    pub(super) async fn order(&self, lease: &Lease, failures: u32) -> Result<Issued, OrderError> {
        let account = Box::pin(self.account(lease)).await?;
        let ordered = Box::pin(self.order_by(&account, lease, failures)).await;
        if !ordered.as_ref().is_err_and(OrderError::is_unknown_account) {
            return ordered;
        }
        self.forget_account(lease).await?;
        let account = Box::pin(self.account(lease)).await?;
        Box::pin(self.order_by(&account, lease, failures)).await
    }

    async fn order_by(
        &self,
        account: &Account,
        lease: &Lease,
        failures: u32,
    ) -> Result<Issued, OrderError> {
        let identifiers: Vec<Identifier> =
            self.0.hosts.iter().map(|host| Identifier::Dns(host.clone())).collect();
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            Box::pin(self.show(authorization?, lease, failures)).await?;
        }
        match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => {}
            outcome => return Err(refused(&mut order, outcome.err()).await),
        }
        let key = Zeroizing::new(order.finalize().await?);
        let chain = order.poll_certificate(&POLLING).await?;
        Ok(Issued { chain, key })
    }

    /// Sees to it that the authority finds what it wants to see of a host, and tells it to look.
    async fn show(
        &self,
        mut authorization: AuthorizationHandle<'_>,
        lease: &Lease,
        failures: u32,
    ) -> Result<(), OrderError> {
        match authorization.status {
            // It has seen it not long ago.
            AuthorizationStatus::Valid => return Ok(()),
            AuthorizationStatus::Pending => {}
            status => return Err(OrderError::NotShown(format!("the authorization is {status:?}"))),
        }
        let offered = |kind: &&ChallengeType| {
            authorization.challenges.iter().any(|challenge| challenge.r#type == **kind)
        };
        let usable: Vec<ChallengeType> =
            self.0.challenges.iter().filter(offered).cloned().collect();
        let turn = failures as usize % usable.len().max(1);
        let kind = usable.into_iter().nth(turn);
        let challenge = kind.and_then(|kind| authorization.challenge(kind));
        let Some(mut challenge) = challenge else {
            let why =
                "the authority wants to see what can't be shown here (gateway.tls.acme.challenge)";
            return Err(OrderError::Own(why.to_owned()));
        };
        let host = challenge.identifier().to_string();
        let answer = challenge.key_authorization().as_str().to_owned();
        let (token, expires_at) = (challenge.token.clone(), self.0.clock.now().plus(ANSWER));
        tracing::debug!(host, kind = ?challenge.r#type, "the authority is told to look");
        let lease = lease.clone();
        let kept = self.0.upkeep.db.transact(move |tx| {
            Box::pin(async move {
                lease.fence(tx).await?;
                store::keep_answer(tx, (&token, &host), &answer, expires_at).await
            })
        });
        kept.await?;
        Ok(challenge.set_ready().await?)
    }
}

/// What the authority says of the hosts it was not content with: the order says little.
async fn refused(order: &mut Order, error: Option<Error>) -> OrderError {
    let mut said = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let host = state.identifier().to_string();
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        said.extend(errors.map(|problem| format!("{host}: {problem}")));
    }
    match (said.is_empty(), error) {
        (false, _) => OrderError::NotShown(said.join("; ")),
        (true, Some(error)) => OrderError::Authority(error),
        (true, None) => OrderError::NotShown("the order is not valid".to_owned()),
    }
}
