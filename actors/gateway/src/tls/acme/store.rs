//! The SQL of what gateways share of the site's certificate.

use std::time::Duration;

use panel_kernel::data::{Conn, DbError, Expiry, Tx, sql};
use panel_kernel::time::Timestamp;

/// What nobody asks for any more.
pub(crate) const EXPIRIES: [Expiry; 1] = [Expiry {
    delete: "DELETE FROM acme_challenges WHERE token IN \
             (SELECT token FROM acme_challenges WHERE expires_at <= $1 LIMIT $2)",
    keep: Duration::ZERO,
}];

/// Which certificate: whose, and for which hosts (separated by spaces).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) directory: String,
    pub(super) names: String,
}

/// A certificate as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) chain: String,
    pub(super) sealed_key: Vec<u8>,
    pub(super) issued_at: Timestamp,
}

/// What went wrong since the last certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    pub(super) count: u32,
    /// When to try again; `None`: at any time.
    pub(super) next_at: Option<Timestamp>,
    /// The last of them, in words.
    pub(super) said: String,
}

/// How things stand, without the certificate itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// When the certificate was issued, if it was.
    pub(super) issued_at: Option<Timestamp>,
    /// Somebody has asked for another.
    pub(super) is_wanted: bool,
    /// What went wrong since.
    pub(super) failures: Failures,
}

pub(super) async fn standing(conn: &mut Conn, which: &Which) -> Result<Standing, DbError> {
    let row = sql("SELECT issued_at, wanted FROM acme_certificates \
                   WHERE directory = $1 AND names = $2");
    let issued: Option<(Timestamp, bool)> =
        conn.optional(row.bind(&which.directory).bind(&which.names)).await?;
    let row = sql("SELECT failures, next_at, said FROM acme_failures \
                   WHERE directory = $1 AND names = $2");
    let failures: Option<(i64, Timestamp, String)> =
        conn.optional(row.bind(&which.directory).bind(&which.names)).await?;
    let failures = failures.map(|(count, next_at, said)| Failures {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        next_at: Some(next_at),
        said,
    });
    Ok(Standing {
        issued_at: issued.map(|(at, _)| at),
        is_wanted: issued.is_some_and(|(_, wanted)| wanted),
        failures: failures.unwrap_or_default(),
    })
}

/// Another certificate is asked for, at once, whatever went wrong.
pub(super) async fn want(tx: &mut Tx, which: &Which) -> Result<(), DbError> {
    let row = sql("UPDATE acme_certificates SET wanted = 1 WHERE directory = $1 AND names = $2");
    tx.execute(row.bind(&which.directory).bind(&which.names)).await?;
    forget_failures(tx, which).await
}

async fn forget_failures(tx: &mut Tx, which: &Which) -> Result<(), DbError> {
    let row = sql("DELETE FROM acme_failures WHERE directory = $1 AND names = $2");
    tx.execute(row.bind(&which.directory).bind(&which.names)).await.map(drop)
}

pub(super) async fn certificate(conn: &mut Conn, which: &Which) -> Result<Option<Stored>, DbError> {
    let row = sql("SELECT chain, sealed_key, issued_at FROM acme_certificates \
                   WHERE directory = $1 AND names = $2");
    let row: Option<(String, Vec<u8>, Timestamp)> =
        conn.optional(row.bind(&which.directory).bind(&which.names)).await?;
    Ok(row.map(|(chain, sealed_key, issued_at)| Stored { chain, sealed_key, issued_at }))
}

/// Puts a certificate in the place of the one before it. All that went wrong is over.
pub(super) async fn keep_certificate(
    tx: &mut Tx,
    which: &Which,
    stored: &Stored,
) -> Result<(), DbError> {
    let row =
        sql("INSERT INTO acme_certificates (directory, names, chain, sealed_key, issued_at) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (directory, names) DO UPDATE SET \
                   chain = excluded.chain, sealed_key = excluded.sealed_key, \
                   issued_at = excluded.issued_at, wanted = 0");
    let row = row.bind(&which.directory).bind(&which.names).bind(&stored.chain);
    tx.execute(row.bind(stored.sealed_key.clone()).bind(stored.issued_at)).await?;
    forget_failures(tx, which).await
}

pub(super) async fn keep_failures(
    tx: &mut Tx,
    which: &Which,
    failures: &Failures,
) -> Result<(), DbError> {
    let row = sql("INSERT INTO acme_failures (directory, names, failures, next_at, said) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (directory, names) DO UPDATE SET \
                   failures = excluded.failures, next_at = excluded.next_at, said = excluded.said");
    let row = row.bind(&which.directory).bind(&which.names).bind(failures.count);
    let next_at = failures.next_at.unwrap_or(Timestamp::from_seconds(0));
    tx.execute(row.bind(next_at).bind(&failures.said)).await.map(drop)
}

/// The account at an authority, sealed.
pub(super) async fn account(conn: &mut Conn, directory: &str) -> Result<Option<Vec<u8>>, DbError> {
    let row = sql("SELECT sealed FROM acme_accounts WHERE directory = $1");
    let row: Option<(Vec<u8>,)> = conn.optional(row.bind(directory)).await?;
    Ok(row.map(|(sealed,)| sealed))
}

pub(super) async fn keep_account(
    tx: &mut Tx,
    directory: &str,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<(), DbError> {
    let row = sql("INSERT INTO acme_accounts (directory, sealed, created_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (directory) DO UPDATE SET \
                   sealed = excluded.sealed, created_at = excluded.created_at");
    tx.execute(row.bind(directory).bind(sealed).bind(now)).await.map(drop)
}

pub(super) async fn forget_account(tx: &mut Tx, directory: &str) -> Result<(), DbError> {
    let row = sql("DELETE FROM acme_accounts WHERE directory = $1");
    tx.execute(row.bind(directory)).await.map(drop)
}

/// What is answered to an authority that asks by this token, or for this host in a handshake.
pub(super) async fn keep_answer(
    tx: &mut Tx,
    (token, host): (&str, &str),
    answer: &str,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let row = sql("INSERT INTO acme_challenges (token, host, answer, expires_at) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT (token) DO UPDATE SET \
                   host = excluded.host, answer = excluded.answer, expires_at = excluded.expires_at");
    tx.execute(row.bind(token).bind(host).bind(answer).bind(expires_at)).await.map(drop)
}

pub(super) async fn answer_to_token(
    conn: &mut Conn,
    token: &str,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let row = sql("SELECT answer FROM acme_challenges WHERE token = $1 AND expires_at > $2");
    let row: Option<(String,)> = conn.optional(row.bind(token).bind(now)).await?;
    Ok(row.map(|(answer,)| answer))
}

/// The last answer that was made for a host.
pub(super) async fn answer_for_host(
    conn: &mut Conn,
    host: &str,
    now: Timestamp,
) -> Result<Option<String>, DbError> {
    let row = sql("SELECT answer FROM acme_challenges WHERE host = $1 AND expires_at > $2 \
                   ORDER BY expires_at DESC LIMIT 1");
    let row: Option<(String,)> = conn.optional(row.bind(host).bind(now)).await?;
    Ok(row.map(|(answer,)| answer))
}
