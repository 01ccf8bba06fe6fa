//! Exactly-once writes.
//!
//! Every write carries an idempotency key. Its result is stored in the same transaction as its
//! effect, under a slot derived from the key and the caller, so that doing it again gives the
//! stored result and no second effect: also after a `kill -9` between commit and reply, also
//! on another node.
//!
//! The row is inserted *last*. In the normal case that costs one statement; in the case of a
//! duplicate the insert conflicts, everything the second attempt did is rolled back, and the
//! stored result is given. A second attempt that fails in its own work (it finds the name
//! taken: by the first attempt) is answered with the stored result as well, if there is one.
//!
//! Answers that carry credentials are stored sealed with a key derived from the idempotency
//! key, of which only a hash is kept: without the client's key nobody can open them.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;

use super::{Conn, Database, DbError, Tx, sql};
use crate::faults;
use crate::http::etag;
use crate::keys::{SealingKey, sha256};
use crate::message::{IdempotencyKey, KeyOrigin, Principal};
use crate::problem::{Kind, Problem};
use crate::purge::{Begun, Purge};
use crate::time::Timestamp;

/// How long results are kept: by who made the key, and whether they carry credentials.
const KEEP_CLIENT: Duration = Duration::from_secs(24 * 3_600);
const KEEP_GATEWAY: Duration = Duration::from_secs(600);
const KEEP_SEALED: Duration = Duration::from_secs(300);

/// Says that the answer is that of an earlier request with the same key.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What the write has made old, as JSON: stored with its answer, so that doing it again says the same. It goes
/// no further than the service's own node.
pub(crate) const PURGE: HeaderName = HeaderName::from_static("panel-purge");

/// Everything about a request that a write needs to know.
#[derive(Clone, Debug)]
pub struct WriteContext {
    /// On whose behalf.
    pub principal: Principal,
    /// The moment the write is stamped with.
    pub now: Timestamp,
    /// The client's address, where there is a client.
    pub client_ip: Option<String>,
    /// The id under which logs know the request.
    pub request_id: String,
    /// What the request is about to make old.
    begun: Begun,
    once: Once,
}

/// What makes two requests the same write.
#[derive(Clone)]
struct Once {
    slot: [u8; 32],
    fingerprint: [u8; 32],
    key: IdempotencyKey,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Once({:?})", self.key.origin)
    }
}

/// What identifies a request: the same key with another one of these is a mistake.
#[derive(Clone, Copy, Debug)]
pub struct RequestShape<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub path: &'a str,
    /// The body, or its hash where it lies elsewhere.
    pub body: &'a [u8],
}

impl WriteContext {
    /// For a request with this key.
    #[must_use]
    pub fn new(
        principal: Principal,
        key: IdempotencyKey,
        shape: RequestShape<'_>,
        now: Timestamp,
        client_ip: Option<String>,
        request_id: String,
    ) -> Self {
        // With the key in it: a body may hold a password, and a plain hash of that would be a way
        // around the slow one.
        let fingerprint = sha256(&[
            key.value.as_bytes(),
            shape.method.as_str().as_bytes(),
            shape.path.as_bytes(),
            shape.body,
        ]);
        let scope = match &principal {
            Principal::User(user) => format!("user:{}", user.id),
            Principal::Service(name) => format!("service:{name}"),
            // Nobody owns an anonymous key: the request itself is part of the scope, so that
            // two strangers with one key never meet.
            Principal::Anonymous => format!("anonymous:{}", crate::ids::hex(&fingerprint)),
        };
        let slot = sha256(&[b"idempotency", scope.as_bytes(), key.value.as_bytes()]);
        let (once, begun) = (Once { slot, fingerprint, key }, Begun::default());
        Self { principal, now, client_ip, request_id, begun, once }
    }

    /// For something that no request asked for (the command line, a schedule). It has a key of
    /// its own and is never a repetition.
    #[must_use]
    pub fn internal(actor: &str, now: Timestamp) -> Self {
        let key = IdempotencyKey { value: crate::ids::random_hex(), origin: KeyOrigin::Gateway };
        let shape = RequestShape { method: &Method::POST, path: "", body: b"" };
        let principal = Principal::Service(actor.to_owned());
        Self::new(principal, key, shape, now, None, String::new())
    }

    /// Notes there what the write is about to make old.
    pub(crate) fn noting(mut self, begun: &Begun) -> Self {
        self.begun = begun.clone();
        self
    }

    fn sealing_key(&self) -> SealingKey {
        SealingKey::derive(self.once.key.value.as_bytes(), "idempotency-result")
    }

    fn keep_for(&self, sealed: bool) -> Duration {
        match self.once.key.origin {
            _ if sealed => KEEP_SEALED,
            KeyOrigin::Client => KEEP_CLIENT,
            KeyOrigin::Gateway => KEEP_GATEWAY,
        }
    }
}

/// The answer to a write, in a form that can be stored and given again.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    sealed: bool,
}

impl Answer {
    /// A JSON answer.
    #[must_use]
    pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::to_vec(value).unwrap_or_default().into();
        Self { status, headers, body, sealed: false }
    }

    /// A JSON answer with the entity tag of its version.
    #[must_use]
    pub fn versioned<T: Serialize>(status: StatusCode, version: i64, value: &T) -> Self {
        let answer = Self::json(status, value);
        let tag = etag::of_version(version, &answer.body);
        answer.header(header::ETAG, &tag)
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { status: StatusCode::NO_CONTENT, headers, body, sealed: false }
    }

    /// A refusal that is itself a result: what led to it has changed something (a token that
    /// was used twice revokes its family), so it is committed and given again like any other.
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let (parts, ()) = problem.response("").map(|_| ()).into_parts();
        let body = serde_json::to_vec(&problem.body("")).unwrap_or_default().into();
        Self { status: parts.status, headers: parts.headers, body, sealed: false }
    }

    /// 303: the browser goes on there.
    #[must_use]
    pub fn see_other(location: &str) -> Self {
        let answer = Self { status: StatusCode::SEE_OTHER, ..Self::no_content() };
        answer.header(header::LOCATION, location)
    }

    /// The same cookies, and the browser goes on there (303).
    #[must_use]
    pub fn going_on(self, location: &str) -> Self {
        let mut answer = Self::see_other(location);
        for set in self.headers.get_all(header::SET_COOKIE) {
            answer.headers.append(header::SET_COOKIE, set.clone());
        }
        if self.sealed { answer.sealed() } else { answer }
    }

    /// With one more cookie (`Set-Cookie`).
    #[must_use]
    pub fn cookie(mut self, set: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(set) {
            self.headers.append(header::SET_COOKIE, value);
        }
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Carries credentials: stored sealed, for five minutes, and never cached.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.sealed = true;
        self.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self
    }

    /// With what its write makes old, if that was said.
    fn purging(self, purge: Option<Purge>, begun: &Begun) -> Self {
        let Some(purge) = purge else { return self };
        let text = purge.to_text();
        begun.add(purge);
        self.header(PURGE, &text)
    }

    fn stored_headers(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.headers {
            if let Ok(value) = value.to_str() {
                text.push_str(name.as_str());
                text.push_str(": ");
                text.push_str(value);
                text.push('\n');
            }
        }
        text
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        *response.headers_mut() = self.headers;
        response
    }
}

/// Why an attempt did not end with an answer of its own.
enum Undone<E> {
    Work(E),
    Transaction(DbError),
    Duplicate,
}

impl<E> From<DbError> for Undone<E> {
    fn from(error: DbError) -> Self {
        Self::Transaction(error)
    }
}

impl Database {
    /// Does `work` exactly once for this key: in a transaction with the row that remembers its
    /// answer. A repetition gets the remembered answer, marked `Idempotency-Replayed: true`.
    ///
    /// # Errors
    /// For a key that belongs to another request the problem `idempotency_mismatch`, whatever
    /// else is wrong; what `work` answers (then nothing was done and nothing is remembered); or
    /// what happened to the transaction.
    pub async fn write<E, F>(&self, context: &WriteContext, work: F) -> Result<Answer, E>
    where
        E: From<DbError> + From<Problem> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<Answer, E>> + Send + 'static,
    {
        faults::pass(&faults::WRITE_BEFORE_TRANSACTION).await.map_err(DbError::from)?;
        let remembered = context.clone();
        let done = self
            .transact(move |tx| {
                Box::pin(async move {
                    let answer = work(tx).await.map_err(Undone::Work)?;
                    let answer = answer.purging(tx.take_purge(), &remembered.begun);
                    faults::pass(&faults::WRITE_IN_TRANSACTION).await.map_err(DbError::from)?;
                    if !remember(tx, &remembered, &answer).await? {
                        return Err(Undone::<E>::Duplicate);
                    }
                    faults::pass(&faults::WRITE_BEFORE_COMMIT).await.map_err(DbError::from)?;
                    Ok(answer)
                })
            })
            .await;
        match done {
            Ok(answer) => {
                let passed = faults::pass(&faults::WRITE_AFTER_COMMIT).await;
                passed.map_err(|fault| DbError::OutcomeUnknown(fault.to_string()))?;
                Ok(answer)
            }
            Err(Undone::Work(refusal)) => self.refuse(context, refusal).await,
            // The database is in trouble or has too much to do: one more question makes neither
            // better, and nothing was done.
            Err(Undone::Transaction(
                error @ (DbError::Unavailable(_) | DbError::Ended(_) | DbError::Busy),
            )) => Err(error.into()),
            Err(Undone::Transaction(error)) => self.refuse(context, error.into()).await,
            Err(Undone::Duplicate) => {
                let remembered = recall(&mut self.reader().await?, context).await?;
                // Where there is nothing, it expired between the conflict and the look.
                Ok(remembered.ok_or(DbError::Contention)??)
            }
        }
    }

    /// Refuses a write that did nothing: a repetition of a write that was done gets the answer
    /// that is remembered for its key. Also for what is refused before any transaction.
    ///
    /// # Errors
    /// The `refusal`; for a key that belongs to another request, `idempotency_mismatch`.
    pub async fn refuse<E: From<Problem>>(
        &self,
        context: &WriteContext,
        refusal: E,
    ) -> Result<Answer, E> {
        let Ok(mut conn) = self.reader().await else { return Err(refusal) };
        match recall(&mut conn, context).await {
            Ok(Some(remembered)) => Ok(remembered?),
            Ok(None) | Err(_) => Err(refusal),
        }
    }
}

/// Stores the answer; `false` if the slot is taken (and what is in it has not expired).
async fn remember(tx: &mut Tx, context: &WriteContext, answer: &Answer) -> Result<bool, DbError> {
    let once = &context.once;
    let (headers, body) = if answer.sealed {
        // A cookie is a credential as well.
        let whole = [answer.stored_headers().as_bytes(), b"\n", &answer.body].concat();
        let sealed = context
            .sealing_key()
            .seal(&once.slot, &whole)
            .map_err(|error| DbError::Fault(sqlx::Error::Encode(Box::new(error))))?;
        (String::new(), sealed)
    } else {
        (answer.stored_headers(), answer.body.to_vec())
    };
    let expires_at = context.now.plus(context.keep_for(answer.sealed));
    tx.changed(
        sql("INSERT INTO idempotency \
             (slot, fingerprint, status, headers, body, sealed, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (slot) DO UPDATE SET \
               fingerprint = excluded.fingerprint, status = excluded.status, \
               headers = excluded.headers, body = excluded.body, sealed = excluded.sealed, \
               expires_at = excluded.expires_at \
             WHERE idempotency.expires_at <= $8")
        .bind(once.slot)
        .bind(once.fingerprint)
        .bind(answer.status.as_u16())
        .bind(headers)
        .bind(body)
        .bind(answer.sealed)
        .bind(expires_at)
        .bind(context.now),
    )
    .await
}

/// The row behind a key.
struct StoredAnswer {
    fingerprint: Vec<u8>,
    status: i64,
    headers: String,
    body: Vec<u8>,
    sealed: bool,
}

crate::from_row!(StoredAnswer { fingerprint, status, headers, body, sealed });

/// The headers, an empty line, and the body, of an answer that was sealed.
fn opened(whole: &[u8]) -> (String, Bytes) {
    // The headers end with a line break each, and are never none: it says not to be stored.
    let end = whole.windows(2).position(|pair| pair == b"\n\n");
    let (headers, body) = end.map_or((&[][..], whole), |at| (&whole[..=at], &whole[at + 2..]));
    (String::from_utf8_lossy(headers).into_owned(), Bytes::copy_from_slice(body))
}

/// The answer stored for this key; the inner error if it is another request's.
async fn recall(
    conn: &mut Conn,
    context: &WriteContext,
) -> Result<Option<Result<Answer, Problem>>, DbError> {
    let once = &context.once;
    let row: Option<StoredAnswer> = conn
        .optional(
            sql("SELECT fingerprint, status, headers, body, sealed FROM idempotency \
                 WHERE slot = $1 AND expires_at > $2")
            .bind(once.slot)
            .bind(context.now),
        )
        .await?;
    let Some(StoredAnswer { fingerprint, status, headers, body, sealed }) = row else {
        return Ok(None);
    };
    if fingerprint != once.fingerprint {
        return Ok(Some(Err(Problem::new(
            Kind::IdempotencyMismatch,
            "this Idempotency-Key was used for another request; use a new one",
        ))));
    }
    let (headers, body) = if sealed {
        let whole = context
            .sealing_key()
            .open(&once.slot, &body)
            .map_err(|error| DbError::Fault(sqlx::Error::Decode(Box::new(error))))?;
        opened(&whole)
    } else {
        (headers, Bytes::from(body))
    };
    let mut answer = Answer {
        status: u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::OK),
        headers: HeaderMap::new(),
        body,
        sealed,
    };
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            answer.headers.append(name, value);
        }
    }
    answer.headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(Some(Ok(answer)))
}
