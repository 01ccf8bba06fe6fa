//! The account at the authority, which is made once and kept.

use std::pin::Pin;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{
    Account, AccountCredentials, BodyWrapper, BytesResponse, Error, ExternalAccountKey, HttpClient,
    NewAccount,
};
use panel_kernel::data::Lease;
use panel_kernel::outbound::Outbound;

use super::order::OrderError;
use super::{Acme, store};

/// Asks the authority.
struct Client(Outbound);

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let outbound = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let request = Request::from_parts(parts, body.to_bytes().to_vec());
            let answer = outbound.send(request).await;
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}

impl Acme {
    /// The account there is, or a new one.
    pub(super) async fn account(&self, lease: &Lease) -> Result<Account, OrderError> {
        let directory = self.0.which.directory.clone();
        let kept = {
            let mut conn = self.0.upkeep.db.reader().await?;
            store::account(&mut conn, &directory).await?
        };
        let builder = Account::builder_with_http(Box::new(Client(self.0.outbound.clone())));
        let context = format!("account {directory}").into_bytes();
        if let Some(sealed) = kept {
            let opened = self.0.seal.open(&context, &sealed);
            let opened = opened.map_err(|error| OrderError::Own(error.to_string()))?;
            let credentials: AccountCredentials = serde_json::from_slice(&opened)
                .map_err(|error| OrderError::Own(format!("the account can't be read: {error}")))?;
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact = format!("mailto:{}", self.0.config.contact);
        let contacts = [contact.as_str()];
        let account = NewAccount {
            contact: if self.0.config.contact.is_empty() { &[] } else { &contacts },
            terms_of_service_agreed: self.0.config.terms_agreed,
            only_return_existing: false,
        };
        let existing = self.existing()?;
        let (account, credentials) =
            builder.create(&account, directory.clone(), existing.as_ref()).await?;
        let plain = serde_json::to_vec(&credentials)
            .map_err(|error| OrderError::Own(format!("the account can't be written: {error}")))?;
        let plain = zeroize::Zeroizing::new(plain);
        let sealed = self.0.seal.seal(&context, &plain);
        let sealed = sealed.map_err(|error| OrderError::Own(error.to_string()))?;
        let (lease, now) = (lease.clone(), self.0.clock.now());
        let kept = self.0.upkeep.db.transact(move |tx| {
            Box::pin(async move {
                lease.fence(tx).await?;
                store::keep_account(tx, &directory, sealed, now).await
            })
        });
        kept.await?;
        tracing::info!(directory = self.0.which.directory, "an account was made at the authority");
        Ok(account)
    }

    /// The authority does not know the account any more: the next is a new one.
    pub(super) async fn forget_account(&self, lease: &Lease) -> Result<(), OrderError> {
        let (lease, directory) = (lease.clone(), self.0.which.directory.clone());
        let forgotten = self.0.upkeep.db.transact(move |tx| {
            Box::pin(async move {
                lease.fence(tx).await?;
                store::forget_account(tx, &directory).await
            })
        });
        Ok(forgotten.await?)
    }

    /// What the new account is bound to, where the authority wants to know whose it is.
    fn existing(&self) -> Result<Option<ExternalAccountKey>, OrderError> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let config = &self.0.config;
        if config.eab_key_id.is_empty() {
            return Ok(None);
        }
        let key = URL_SAFE_NO_PAD.decode(config.eab_key.expose().trim_end_matches('='));
        let key = zeroize::Zeroizing::new(key.map_err(|_| {
            OrderError::Own("gateway.tls.acme.eab_key is not in base64url".to_owned())
        })?);
        Ok(Some(ExternalAccountKey::new(config.eab_key_id.clone(), &key)))
    }
}
