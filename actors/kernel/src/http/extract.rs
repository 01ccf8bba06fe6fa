//! Extractors. Each refuses with a problem that says what to do about it.

use std::ops::Deref;
use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request};
use bytes::Bytes;
use http::header;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::data::WriteContext;
use crate::ids::Id;
use crate::message::User;
use crate::problem::{FieldError, Kind, Problem};
use crate::service::RequestMeta;

/// Who asks, when, and under which request id.
#[derive(Clone, Debug)]
pub struct Caller(Arc<RequestMeta>);

impl Deref for Caller {
    type Target = RequestMeta;

    fn deref(&self) -> &RequestMeta {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every request through a front door has it; one without came around it.
        parts.extensions.get::<Arc<RequestMeta>>().cloned().map(Self).ok_or_else(Problem::internal)
    }
}

/// What an exactly-once write needs. Routes that change something take this.
#[derive(Clone, Debug)]
pub struct Write(pub WriteContext);

impl<S: Sync> FromRequestParts<S> for Write {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, state).await?.write_context().map(Self)
    }
}

/// The id in the path. A text that is no id names nothing: 404.
#[derive(Clone, Copy, Debug)]
pub struct IdPath(pub Id);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("thing"))?;
        text.parse().map(Self).map_err(|_| Problem::not_found("thing"))
    }
}

/// A write by somebody who is signed in; anybody else gets 401 before anything is read.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// What their write needs to know.
    pub context: WriteContext,
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Write(context) = Write::from_request_parts(parts, state).await?;
        Ok(Self { user: context.principal.user()?.clone(), context })
    }
}

/// What the path says, where that is more than one id: `Segments<(Id, i64)>`. What can't be read as that
/// names nothing: 404.
#[derive(Clone, Copy, Debug)]
pub struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(found)| Self(found)).map_err(|_| Problem::not_found("thing"))
    }
}

/// The query string. Parameters the route does not know are ignored.
#[derive(Clone, Debug)]
pub struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        serde_html_form::from_str(query)
            .map(Self)
            .map_err(|error| Problem::new(Kind::BadRequest, format!("query: {error}")))
    }
}

/// A JSON body: `application/json`, UTF-8, and only fields the route knows.
#[derive(Clone, Debug)]
pub struct Payload<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Payload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(str::trim);
        let is_json = media_type.is_some_and(|media_type| {
            media_type.eq_ignore_ascii_case("application/json")
                || (media_type.starts_with("application/") && media_type.ends_with("+json"))
        });
        if !is_json {
            let detail = "send the body as Content-Type: application/json";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))?;
        parse(&body).map(Self)
    }
}

/// Without a body there is none; with one, it is as it has to be.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Payload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

/// For fields of a PATCH: told apart from absent ones, so that `null` is a value.
///
/// # Errors
/// What is wrong with the value.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads JSON; a malformed text is 400, a well-formed one of the wrong shape 422.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if std::str::from_utf8(body).is_err() {
        return Err(Problem::new(Kind::BadRequest, "the body is not UTF-8"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            Problem::validation(vec![field_error(&path, &inner)])
        } else {
            Problem::new(Kind::BadRequest, format!("the body is not JSON: {inner}"))
        }
    })?;
    reader.end().map_err(|error| {
        Problem::new(Kind::BadRequest, format!("the body is not JSON: {error}"))
    })?;
    Ok(value)
}

/// Names the field and the kind of mistake in a serde error.
fn field_error(path: &str, error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    // The position is of no use to a program that made the JSON from an object.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let parent = if path == "." { "" } else { path };
    let quoted = |prefix: &str| {
        message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(|name| {
            let inside = parent.rsplit_once('.').map_or(parent, |(_, last)| last) == name;
            match (parent, inside) {
                ("", _) => name.to_owned(),
                (_, true) => parent.to_owned(),
                (_, false) => format!("{parent}.{name}"),
            }
        })
    };
    if let Some(field) = quoted("missing field `") {
        return FieldError::new(field, "required", "is required");
    }
    if let Some(field) = quoted("unknown field `") {
        return FieldError::new(field, "unknown", "is not a field of this request");
    }
    if let Some(field) = quoted("duplicate field `") {
        return FieldError::new(field, "duplicate", "is given twice");
    }
    FieldError::new(parent, "invalid", message)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Draft {
        title: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Inner {
        count: u32,
    }

    fn refusal(body: &[u8]) -> (u16, Vec<(String, String)>) {
        let problem = parse::<Draft>(body).unwrap_err();
        let errors = problem.errors.into_iter().map(|error| (error.field, error.code)).collect();
        (problem.kind.status().as_u16(), errors)
    }

    #[test]
    fn wrong_fields_are_named() {
        let one = |field: &str, code: &str| (422, vec![(field.to_owned(), code.to_owned())]);
        assert_eq!(refusal(b"{}"), one("title", "required"));
        assert_eq!(refusal(br#"{"title":"a","x":1}"#), one("x", "unknown"));
        assert_eq!(refusal(br#"{"title":1}"#), one("title", "invalid"));
        assert_eq!(refusal(br#"{"title":"a","title":"b"}"#), one("title", "duplicate"));
        assert_eq!(refusal(br#"{"title":"a","inner":{}}"#), one("inner.count", "required"));
        assert_eq!(
            refusal(br#"{"title":"a","inner":{"count":-1}}"#),
            one("inner.count", "invalid")
        );
        assert_eq!(
            refusal(br#"{"title":"a","inner":{"count":1,"z":1}}"#),
            one("inner.z", "unknown")
        );
        assert_eq!(refusal(b"[]"), one("", "invalid"));
    }

    #[test]
    fn what_is_no_json_is_a_bad_request() {
        for body in [&b""[..], b"{", b"{\"title\":\"a\"} x", b"\xff", b"{\"title\":\"\xc3\"}"] {
            assert_eq!(refusal(body).0, 400, "{body:?}");
        }
        assert_eq!(refusal("[".repeat(100_000).as_bytes()).0, 422);
    }
}
