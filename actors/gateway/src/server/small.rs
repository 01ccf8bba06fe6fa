//! Answers of ports that are not the site's: small, and kept by nobody.

use http::{HeaderValue, Method, Response, StatusCode, header};
use panel_kernel::ids::random_hex;
use panel_kernel::problem::{Kind, Problem};

use super::{AnswerBody, HttpResponse};

/// The answer to methods that a route does not have which can only be read.
#[must_use]
pub fn unless_read(method: &Method) -> Option<HttpResponse> {
    let mut answer = match *method {
        Method::GET | Method::HEAD => return None,
        Method::OPTIONS => {
            let mut answer = Response::new(AnswerBody::default());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        _ => small_problem(&Problem::new(Kind::MethodNotAllowed, "only reading works here")),
    };
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD,OPTIONS"));
    Some(answer)
}

/// A small answer, never kept by anybody.
#[must_use]
pub fn small_answer(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> HttpResponse {
    let mut response = Response::new(AnswerBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A refusal, as on every other port.
#[must_use]
pub fn small_problem(problem: &Problem) -> HttpResponse {
    let request_id = random_hex();
    let body = serde_json::to_vec(&problem.body(&request_id)).unwrap_or_default();
    let mut answer = small_answer(problem.kind.status(), panel_kernel::problem::MEDIA_TYPE, body);
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        answer.headers_mut().insert("x-request-id", id);
    }
    answer
}
