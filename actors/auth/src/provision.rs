//! Making accounts: by registering, by the setup link, from the command line. One way in.

use panel_kernel::data::{Answer, Audit, Database, DbError, Tx, WriteContext};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::role::Role;
use serde_json::json;

use crate::config::AuthConfig;
use crate::error::AuthError;
use crate::events::{UserRegistered, UserSuspended};
use crate::hashing::{argon2id, hash};
use crate::rules::{self, Registrant};
use crate::store::locks::{self, NO_PASSWORD};
use crate::store::users::{NewUser, UserRow};
use crate::store::{setup, users};

/// Names that are tried for a new account, before one that nobody has.
const NAMES: u64 = 20;

/// An account an administrator makes.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The name to sign in with.
    pub username: String,
    /// The mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The rank.
    pub role: Role,
}

/// Makes an account without a request: for the command line, on a database that a node may be
/// running on. Once for one context, however often it is tried.
///
/// # Errors
/// A [`Problem`] that says what is wrong with the account, or with the database.
pub async fn create_account(
    db: &Database,
    config: &AuthConfig,
    account: NewAccount,
    context: &WriteContext,
) -> Result<(), Problem> {
    let registrant = rules::registrant(&account.username, &account.email, &account.password, None)?;
    let crypto = |why: String| Problem::from(AuthError::Crypto(why));
    let argon2 = argon2id(config.argon2_memory_kib, config.argon2_iterations).map_err(crypto)?;
    let password_hash = hash(&argon2, registrant.password.as_bytes()).map_err(crypto)?;
    let user = new_user(db.next_id().await?, registrant, password_hash, account.role, false);
    let written = context.clone();
    let made: Result<Answer, AuthError> = db
        .write(context, move |tx| {
            Box::pin(async move {
                insert(tx, &written, &user).await?;
                Ok(Answer::no_content())
            })
        })
        .await;
    made.map(drop).map_err(Problem::from)
}

/// An account that somebody had elsewhere.
#[derive(Clone, Debug)]
pub struct ImportedAccount {
    /// The mail address: whoever has shown that it is theirs here is the same person.
    pub email: String,
    /// The name shown.
    pub display_name: String,
    /// Whether it could be used.
    pub is_active: bool,
}

/// Makes an account, of the lowest rank and without a password, for somebody who had one elsewhere, unless
/// there is one with that address. Which it is, and the name to sign in with.
///
/// Anybody can register with somebody else's address: an account that has a password, and whose address was
/// never shown to be its owner's, is nobody's who had one elsewhere. One without a password can only have been
/// made here, or by a provider that vouches for the address.
///
/// # Errors
/// A [`Problem`] that says what is wrong with the account, or with the database.
pub async fn import_account(
    db: &Database,
    account: ImportedAccount,
    context: &WriteContext,
) -> Result<(Id, String), Problem> {
    let email = rules::address("email", account.email.trim())?;
    let names = [account.display_name.as_str(), email.as_str()];
    let username = rules::federation::username(names);
    let shown = rules::federation::shown_name(Some(&account.display_name));
    let user = NewUser {
        id: db.next_id().await?,
        display_name: shown.unwrap_or_else(|| username.clone()),
        username,
        email,
        password_hash: NO_PASSWORD.to_owned(),
        role: Role::User,
        must_verify: false,
    };
    let written = context.clone();
    let found: Result<UserRow, AuthError> = db
        .transact(move |tx| {
            Box::pin(async move {
                if let Some(known) = users::by_email(tx, &user.email).await? {
                    let has_password = locks::lock(tx, known.id).await?.is_some();
                    if has_password && !known.is_verified() {
                        let why = "belongs to an account that has not shown that it is its own";
                        return Err(Problem::field("email", "unverified", why).into());
                    }
                    return Ok(known);
                }
                let user = insert_under_a_name(tx, &written, user, None).await?;
                if !account.is_active {
                    let reason = "not in use where it was imported from";
                    users::suspend(tx, user.id, reason, None, written.now).await?;
                    tx.publish(&UserSuspended { id: user.id, until: None });
                }
                Ok(user)
            })
        })
        .await;
    let found = found.map_err(Problem::from)?;
    Ok((found.id, found.username))
}

/// Inserts an account under the name it is to have, or one that is like it.
pub(crate) async fn insert_under_a_name(
    tx: &mut Tx,
    context: &WriteContext,
    mut user: NewUser,
    invitation: Option<Id>,
) -> Result<UserRow, AuthError> {
    let wanted = user.username.clone();
    for number in 2..=NAMES {
        match insert_invited(tx, context, &user, invitation).await {
            Err(AuthError::Taken("username")) => {
                user.username = rules::federation::another_username(&wanted, number);
            }
            inserted => return inserted,
        }
    }
    user.username = rules::federation::another_username(&wanted, user.id.raw().unsigned_abs());
    insert_invited(tx, context, &user, invitation).await
}

/// The account as it will be kept.
pub(crate) fn new_user(
    id: Id,
    registrant: Registrant,
    password_hash: String,
    role: Role,
    must_verify: bool,
) -> NewUser {
    NewUser {
        id,
        username: registrant.username,
        email: registrant.email,
        display_name: registrant.display_name,
        password_hash,
        role,
        must_verify,
    }
}

/// Inserts the account, tells the other services, and leaves the audit record.
pub(crate) async fn insert(
    tx: &mut Tx,
    context: &WriteContext,
    user: &NewUser,
) -> Result<UserRow, AuthError> {
    insert_invited(tx, context, user, None).await
}

/// The same by this invitation, if it took one.
pub(crate) async fn insert_invited(
    tx: &mut Tx,
    context: &WriteContext,
    user: &NewUser,
    invitation: Option<Id>,
) -> Result<UserRow, AuthError> {
    if !users::insert(tx, user, context.now).await? {
        let taken = users::taken(tx, &user.username, &user.email).await?;
        // What stood in the way may be gone by now; another try will do.
        return Err(AuthError::Taken(taken.ok_or(DbError::Contention)?));
    }
    if user.role >= Role::Admin {
        setup::clear(tx).await?;
    }
    tx.publish(&UserRegistered {
        id: user.id,
        username: user.username.clone(),
        email: user.email.clone(),
        display_name: user.display_name.clone(),
        role: user.role,
        created_at: context.now,
    });
    let mut after = json!({"username": user.username, "role": user.role});
    if let Some(invitation) = invitation {
        after["invitation"] = invitation.to_string().into();
    }
    tx.audit(&Audit {
        action: "user.create",
        target: format!("user:{}", user.id),
        before: None,
        after: Some(after),
        context,
    });
    users::by_id(tx, user.id).await?.ok_or(AuthError::NoSuchAccount)
}
