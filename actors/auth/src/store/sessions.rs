//! Sessions and the refresh tokens that prolong them.

use std::time::Duration;

use panel_kernel::data::{Conn, Database, DbError, Expiry, Tx, sql};
use panel_kernel::identity::ACCESS_TOKEN_LIFE;
use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;

/// How long an expired session stays: much longer than the last access token it gave is good for,
/// so that ending it is still told to gateways.
const KEEP_EXPIRED: Duration = Duration::from_secs(24 * 3_600);

/// How long a refresh token stays after its own end. One that was used is recognised, and with it the
/// session that a thief may share, for as long as its owner could have used it (`auth.session_life`
/// from when it was given), and for a week more. It can't go sooner: where the thief was the first to
/// use it, its owner may be the second as late as that.
const KEEP_TOKENS: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A refresh token goes with its session; in one that goes on and on, a week after its own end. The
/// joins are in this order on SQLite, too.
pub(crate) const EXPIRIES: [Expiry; 3] = [
    Expiry {
        delete: "DELETE FROM refresh_tokens WHERE hash IN \
                 (SELECT hash FROM refresh_tokens WHERE expires_at <= $1 LIMIT $2)",
        keep: KEEP_TOKENS,
    },
    Expiry {
        delete: "DELETE FROM refresh_tokens WHERE hash IN \
                 (SELECT t.hash FROM sessions s CROSS JOIN refresh_tokens t \
                  WHERE s.expires_at <= $1 AND t.session_id = s.id LIMIT $2)",
        keep: KEEP_EXPIRED,
    },
    Expiry {
        delete: "DELETE FROM sessions WHERE id IN \
                 (SELECT s.id FROM sessions s WHERE s.expires_at <= $1 AND NOT EXISTS \
                   (SELECT 1 FROM refresh_tokens t WHERE t.session_id = s.id) LIMIT $2)",
        keep: KEEP_EXPIRED,
    },
];

/// A session about to begin.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
    /// For browsers: the hash of its cookie.
    pub(crate) cookie: Option<[u8; 32]>,
}

/// A refresh token with its session.
#[derive(Clone, Debug)]
pub(crate) struct TokenRow {
    pub(crate) session: Id,
    pub(crate) user: Id,
    pub(crate) used_at: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
}

panel_kernel::from_row!(TokenRow { session, user, used_at, expires_at, revoked_at });

/// A session as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) id: Id,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

panel_kernel::from_row!(SessionRow { id, created_at, last_used_at, expires_at, ip, user_agent });

pub(crate) async fn begin(tx: &mut Tx, session: &NewSession) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO sessions (id, user_id, created_at, last_used_at, authenticated_at, \
             expires_at, ip, user_agent, cookie_hash) VALUES ($1, $2, $3, $3, $3, $4, $5, $6, $7)")
        .bind(session.id)
        .bind(session.user)
        .bind(session.now)
        .bind(session.expires_at)
        .bind(session.ip.clone())
        .bind(session.user_agent.clone())
        .bind(session.cookie.map(|hash| hash.to_vec())),
    )
    .await
    .map(|_| ())
}

/// Ends the oldest sessions that an account has, so that with one more there are `most`; how many that
/// were.
pub(crate) async fn make_room(
    tx: &mut Tx,
    user: Id,
    most: i64,
    now: Timestamp,
) -> Result<u64, DbError> {
    tx.execute(
        sql("UPDATE sessions SET revoked_at = $2 \
             WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND id <= \
               (SELECT id FROM sessions \
                WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
                ORDER BY id DESC LIMIT 1 OFFSET $3)")
        .bind(user)
        .bind(now)
        .bind(most - 1),
    )
    .await
}

pub(crate) async fn add_token(
    tx: &mut Tx,
    hash: [u8; 32],
    session: Id,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        sql("INSERT INTO refresh_tokens (hash, session_id, expires_at) VALUES ($1, $2, $3)")
            .bind(hash)
            .bind(session)
            .bind(expires_at),
    )
    .await
    .map(|_| ())
}

pub(crate) async fn token(conn: &mut Conn, hash: [u8; 32]) -> Result<Option<TokenRow>, DbError> {
    conn.optional(
        sql("SELECT t.session_id, s.user_id, t.used_at, t.expires_at, s.revoked_at \
             FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = $1")
        .bind(hash),
    )
    .await
}

/// Marks a token as used; `false` if it was used already.
pub(crate) async fn use_token(
    tx: &mut Tx,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE refresh_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL")
            .bind(hash)
            .bind(now),
    )
    .await
}

/// Prolongs a session; `false` if it has ended, also by somebody who was faster by a moment.
pub(crate) async fn prolong(
    tx: &mut Tx,
    session: Id,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE sessions SET last_used_at = $2, expires_at = $3 \
             WHERE id = $1 AND revoked_at IS NULL")
        .bind(session)
        .bind(now)
        .bind(expires_at),
    )
    .await
}

/// Ends a session; `false` if it had ended.
pub(crate) async fn revoke(tx: &mut Tx, session: Id, now: Timestamp) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
            .bind(session)
            .bind(now),
    )
    .await
}

/// Ends one of an account's own sessions; `false` if there is none such.
pub(crate) async fn revoke_own(
    tx: &mut Tx,
    user: Id,
    session: Id,
    now: Timestamp,
) -> Result<bool, DbError> {
    tx.changed(
        sql("UPDATE sessions SET revoked_at = $3 \
             WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $4")
        .bind(session)
        .bind(user)
        .bind(now)
        .bind(now.minus(ACCESS_TOKEN_LIFE)),
    )
    .await
}

/// Ends all sessions of an account of which an access token may still be good, but for the one in `except`; how many there were.
pub(crate) async fn revoke_all(
    tx: &mut Tx,
    user: Id,
    except: Option<Id>,
    now: Timestamp,
) -> Result<u64, DbError> {
    tx.execute(
        sql("UPDATE sessions SET revoked_at = $3 \
             WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL AND expires_at > $4")
        .bind(user)
        .bind(except.map_or(0, Id::raw))
        .bind(now)
        .bind(now.minus(ACCESS_TOKEN_LIFE)),
    )
    .await
}

/// The sessions that an account has, newest first, from the one before `before` on.
pub(crate) async fn live(
    conn: &mut Conn,
    user: Id,
    before: i64,
    now: Timestamp,
    fetch: i64,
) -> Result<Vec<SessionRow>, DbError> {
    conn.all(
        sql("SELECT id, created_at, last_used_at, expires_at, ip, user_agent FROM sessions \
             WHERE user_id = $1 AND id < $2 AND revoked_at IS NULL AND expires_at > $3 \
             ORDER BY id DESC LIMIT $4")
        .bind(user)
        .bind(before)
        .bind(now)
        .bind(fetch),
    )
    .await
}

/// A browser's session, as its cookie leads to it.
#[derive(Clone, Debug)]
pub(crate) struct CookieRow {
    pub(crate) id: Id,
    pub(crate) user: Id,
    pub(crate) last_used_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

panel_kernel::from_row!(CookieRow { id, user, last_used_at, expires_at });

impl CookieRow {
    /// Whether it was last used longer ago than that.
    pub(crate) fn is_news(&self, now: Timestamp, than: Duration) -> bool {
        self.last_used_at.until(now) >= than
    }
}

/// The session whose cookie has this hash, if it is good at `now`.
pub(crate) async fn by_cookie(
    conn: &mut Conn,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<Option<CookieRow>, DbError> {
    conn.optional(
        sql("SELECT id, user_id, last_used_at, expires_at FROM sessions \
             WHERE cookie_hash = $1 AND revoked_at IS NULL AND expires_at > $2")
        .bind(hash)
        .bind(now),
    )
    .await
}

/// Notes that a browser's session was used, which prolongs it.
pub(crate) async fn note_use(
    db: &Database,
    session: Id,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    db.transact(move |tx| {
        Box::pin(async move { prolong(tx, session, now, expires_at).await.map(|_| ()) })
    })
    .await
}

/// Whether a session is that of a cookie.
pub(crate) async fn has_cookie(conn: &mut Conn, session: Id) -> Result<bool, DbError> {
    let found = sql("SELECT id FROM sessions WHERE id = $1 AND cookie_hash IS NOT NULL");
    let row: Option<(Id,)> = conn.optional(found.bind(session)).await?;
    Ok(row.is_some())
}

/// When somebody last showed in this session who they are.
pub(crate) async fn authenticated_at(
    conn: &mut Conn,
    session: Id,
) -> Result<Option<Timestamp>, DbError> {
    let asked = sql("SELECT authenticated_at FROM sessions WHERE id = $1 AND revoked_at IS NULL");
    let row: Option<(Timestamp,)> = conn.optional(asked.bind(session)).await?;
    Ok(row.map(|(at,)| at))
}

/// Notes that somebody has shown in this session who they are.
pub(crate) async fn authenticated(tx: &mut Tx, session: Id, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        sql("UPDATE sessions SET authenticated_at = $2 WHERE id = $1").bind(session).bind(now),
    )
    .await
    .map(|_| ())
}

/// Whether somebody at this address is signed in to an account.
pub(crate) async fn is_known_at(
    conn: &mut Conn,
    user: Id,
    address: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let found: Option<(Id,)> = conn
        .optional(
            sql("SELECT id FROM sessions WHERE user_id = $1 AND ip = $2 \
                 AND revoked_at IS NULL AND expires_at > $3 LIMIT 1")
            .bind(user)
            .bind(address)
            .bind(now),
        )
        .await?;
    Ok(found.is_some())
}
