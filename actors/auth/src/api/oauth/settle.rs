//! Whose account it is, that somebody comes back with: theirs, a new one, or nobody's.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use panel_kernel::data::{Answer, Audit, DbError, Tx, WriteContext};
use panel_kernel::http::Caller;
use panel_kernel::ids::Id;
use panel_kernel::message::Principal;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::role::Role;
use serde_json::json;

use super::away::Waiting;
use super::called;
use crate::api::Shared;
use crate::api::account::redeem;
use crate::api::beginning::{Beginning, may_begin, new_cookie};
use crate::api::identities::IdentityView;
use crate::api::second_factor::Given;
use crate::carried::Returned;
use crate::config::Registration;
use crate::error::AuthError;
use crate::federation::{Identity, Provider};
use crate::mail::Letter;
use crate::provision;
use crate::rules::federation as rules;
use crate::rules::{self as account_rules, MAX_IDENTITIES};
use crate::store::identities::{self, IdentityRow};
use crate::store::locks::NO_PASSWORD;
use crate::store::users::{self, NewUser, UserRow};
use crate::store::{passkeys, sessions};

/// Somebody who has come back.
pub(super) struct Arrival<'a> {
    pub(super) app: &'a Shared,
    pub(super) headers: &'a HeaderMap,
    pub(super) caller: &'a Caller,
    pub(super) returned: Returned,
}

impl Arrival<'_> {
    /// Coming back is a read, and changes something once.
    pub(super) fn context(&self) -> WriteContext {
        let secret = self.caller.sign_in.as_deref().unwrap_or_default();
        self.caller.write_context_by(secret)
    }

    async fn beginning(
        &self,
        user: Id,
        (cookie, return_to): (bool, Option<&str>),
        context: &WriteContext,
    ) -> Result<Beginning, AuthError> {
        let cookie = new_cookie(self.app, cookie)?;
        let beginning = Beginning::of(self.app, user, cookie, self.headers, context).await?;
        Ok(match return_to {
            Some(path) => beginning.returning_to(path),
            None => beginning,
        })
    }
}

/// What came of it.
pub(super) enum Settled {
    Done(Answer),
    /// The account asks for a second factor.
    Waits(Waiting),
}

/// Signs somebody in to the account that this one is linked to, or to a new one.
pub(super) async fn sign_in(
    arrival: &Arrival<'_>,
    provider: &Provider,
    identity: Identity,
    (return_to, invitation): (Option<String>, Option<[u8; 32]>),
    mut context: WriteContext,
) -> Result<Settled, AuthError> {
    // Whoever was signed in here before has nothing to do with it.
    context.principal = Principal::Anonymous;
    let mut conn = arrival.app.db.reader().await?;
    let known = identities::find(&mut conn, provider.issuer(), &identity.subject).await?;
    drop(conn);
    let Some(known) = known else {
        let answer = register(arrival, provider, identity, (return_to, invitation), &context).await;
        return answer.map(Settled::Done);
    };
    let cookie = return_to.is_some();
    let waiting = Waiting { user: known.user, identity: known.id, cookie };
    let to = return_to.as_deref();
    match begin(arrival, waiting.clone(), to, Given::Nothing, &context).await {
        Err(AuthError::FactorRequired) => Ok(Settled::Waits(waiting)),
        done => done.map(Settled::Done),
    }
}

/// Begins a session of the account that this one is linked to.
pub(super) async fn begin(
    arrival: &Arrival<'_>,
    waiting: Waiting,
    return_to: Option<&str>,
    given: Given,
    context: &WriteContext,
) -> Result<Answer, AuthError> {
    let Waiting { user, identity, cookie } = waiting;
    let beginning = arrival.beginning(user, (cookie, return_to), context).await?;
    let (app, returned, written) = (Arc::clone(arrival.app), arrival.returned, context.clone());
    let mail = app.db.next_id().await?;
    let answer = arrival.app.db.write(context, move |tx| {
        Box::pin(async move {
            users::signed_in(tx, user, written.now).await?;
            if !identities::used(tx, identity, user, written.now).await? {
                return Err(AuthError::BadReturn);
            }
            once(tx, returned).await?;
            let user = may_begin(users::by_id(tx, user).await?, written.now)?;
            app.pass_factor(tx, mail, user.id, &given, &written).await?;
            beginning.begin(tx, &user, &written).await
        })
    });
    let answer = answer.await?;
    arrival.app.post.ring();
    Ok(answer)
}

/// Comes back once.
async fn once(tx: &mut Tx, returned: Returned) -> Result<(), AuthError> {
    let first = passkeys::finish(tx, returned).await?;
    if first { Ok(()) } else { Err(AuthError::BadReturn) }
}

/// Makes an account.
async fn register(
    arrival: &Arrival<'_>,
    provider: &Provider,
    identity: Identity,
    (return_to, invitation): (Option<String>, Option<[u8; 32]>),
    context: &WriteContext,
) -> Result<Answer, AuthError> {
    let app = arrival.app;
    let invitation = match (app.config.registration, invitation) {
        (Registration::Open, _) => None,
        (Registration::Invitation, Some(hash)) => Some(hash),
        (Registration::Invitation, None) => return Err(AuthError::NotInvited),
        (Registration::Closed, _) => return Err(AuthError::RegistrationClosed),
    };
    let email = identity.email.as_deref().and_then(|it| account_rules::address("email", it).ok());
    let email = email.ok_or_else(|| AuthError::NoAddress(provider.label.clone()))?;
    let names = [&identity.username, &identity.name, &Some(email.clone())];
    let username = rules::username(names.into_iter().flatten().map(String::as_str));
    let id = app.db.next_id().await?;
    let user = NewUser {
        id,
        display_name: rules::shown_name(identity.name.as_deref()).unwrap_or(username.clone()),
        username,
        email,
        password_hash: NO_PASSWORD.to_owned(),
        role: Role::User,
        must_verify: false,
    };
    let row = link_of(app, provider, &identity, id, context).await?;
    let wish = (return_to.is_some(), return_to.as_deref());
    let beginning = arrival.beginning(id, wish, context).await?;
    let (returned, written) = (arrival.returned, context.clone());
    app.db
        .write(context, move |tx| {
            Box::pin(async move {
                once(tx, returned).await?;
                let invitation = redeem(tx, invitation, written.now).await?;
                let user = insert(tx, &written, user, invitation).await?;
                users::verify_email(tx, user.id, written.now).await?;
                if !identities::add(tx, &row, &identity.subject).await? {
                    // Somebody was faster by a moment, with the same account: it will be found.
                    return Err(DbError::Contention.into());
                }
                tx.audit(&audit("identity.link", &row, &written));
                let user = may_begin(users::by_id(tx, user.id).await?, written.now)?;
                beginning.begin(tx, &user, &written).await
            })
        })
        .await
}

/// Inserts the account, under the name it is to have or one that is like it.
async fn insert(
    tx: &mut Tx,
    context: &WriteContext,
    user: NewUser,
    invitation: Option<Id>,
) -> Result<UserRow, AuthError> {
    if users::by_email(tx, &user.email).await?.is_some() {
        return Err(AuthError::AccountThere);
    }
    match provision::insert_under_a_name(tx, context, user, invitation).await {
        Err(AuthError::Taken(_)) => Err(AuthError::AccountThere),
        inserted => inserted,
    }
}

/// Links the account elsewhere to one here.
pub(super) async fn link(
    arrival: &Arrival<'_>,
    provider: &Provider,
    identity: Identity,
    (user, session): (Id, Id),
    return_to: Option<String>,
    context: WriteContext,
) -> Result<Settled, AuthError> {
    // Somebody else may have signed in here meanwhile.
    if arrival.caller.principal.user().is_ok_and(|caller| caller.id != user) {
        return Err(AuthError::BadReturn);
    }
    let app = arrival.app;
    let row = link_of(app, provider, &identity, user, &context).await?;
    let mail = app.db.next_id().await?;
    let (sharing, returned, written) = (Arc::clone(app), arrival.returned, context.clone());
    let label = provider.label.clone();
    let answer: Result<Answer, AuthError> = app
        .db
        .write(&context, move |tx| {
            Box::pin(async move {
                users::hold(tx, user).await?;
                if sessions::authenticated_at(tx, session).await?.is_none() {
                    let ended = "the session was ended";
                    return Err(Problem::new(Kind::Unauthorized, ended).into());
                }
                once(tx, returned).await?;
                if identities::of_user(tx, user).await?.len() >= MAX_IDENTITIES {
                    return Err(AuthError::TooManyIdentities);
                }
                if !identities::add(tx, &row, &identity.subject).await? {
                    return Err(AuthError::IdentityThere);
                }
                tx.audit(&audit("identity.link", &row, &written));
                let letter = Letter::IdentityLinked { provider: label };
                sharing.tell(tx, mail, user, &letter, written.now).await?;
                Ok(match return_to {
                    Some(path) => Answer::see_other(&path),
                    None => {
                        let view = IdentityView::of(row, &sharing.federation);
                        Answer::json(StatusCode::OK, &view)
                    }
                })
            })
        })
        .await;
    let answer = answer?;
    app.post.ring();
    Ok(Settled::Done(answer))
}

/// The link about to be made.
async fn link_of(
    app: &Shared,
    provider: &Provider,
    identity: &Identity,
    user: Id,
    context: &WriteContext,
) -> Result<IdentityRow, AuthError> {
    Ok(IdentityRow {
        id: app.db.next_id().await?,
        user,
        issuer: provider.issuer().to_owned(),
        name: called(identity),
        created_at: context.now,
        last_used_at: None,
    })
}

/// What is noted of a link.
pub(in crate::api) fn audit<'a>(
    action: &'static str,
    row: &IdentityRow,
    context: &'a WriteContext,
) -> Audit<'a> {
    let after = Some(json!({"user_id": row.user, "issuer": row.issuer}));
    Audit { action, target: format!("identity:{}", row.id), before: None, after, context }
}
