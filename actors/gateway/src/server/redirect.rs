//! What is asked in the clear is answered with where the site is; but an authority that wants to know whose the
//! site is, with what it wants to see.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use panel_kernel::problem::{Kind, Problem};

use super::{Handler, HttpResponse, Peer, small_answer, small_problem, unless_read};
use crate::tls::acme::Answers;

/// Sends everybody to the site, whatever host they have asked for: no host but the site's own is ever named.
#[derive(Clone, Debug)]
pub(crate) struct Redirect {
    /// Scheme, host and port.
    origin: Arc<str>,
    /// What an authority is shown.
    answers: Option<Answers>,
}

impl Redirect {
    /// To there.
    pub(crate) fn to(origin: &str, answers: Option<Answers>) -> Self {
        Self { origin: origin.into(), answers }
    }

    fn answer(&self, target: Option<&PathAndQuery>) -> HttpResponse {
        let target = target.map_or("/", PathAndQuery::as_str);
        let target = if target.starts_with('/') { target } else { "/" };
        let Ok(location) = HeaderValue::try_from(format!("{}{target}", self.origin)) else {
            return small_problem(&Problem::new(Kind::BadRequest, "there is no such place"));
        };
        let text = format!("the site is at {}\n", self.origin).into_bytes();
        // 308: what is sent with it, and how, is the same there (RFC 9110, 15.4.9).
        let media_type = "text/plain; charset=utf-8";
        let mut answer = small_answer(StatusCode::PERMANENT_REDIRECT, media_type, text);
        answer.headers_mut().insert(header::LOCATION, location);
        answer
    }
}

impl Handler for Redirect {
    async fn handle(&self, request: Request<Incoming>, _: Peer) -> HttpResponse {
        if let (Some(answers), Some(token)) = (&self.answers, Answers::token(request.uri().path()))
        {
            if let Some(answer) = unless_read(request.method()) {
                return answer;
            }
            return match answers.to_token(token).await {
                Ok(answer) => {
                    small_answer(StatusCode::OK, "application/octet-stream", answer.into_bytes())
                }
                Err(problem) => small_problem(&problem),
            };
        }
        self.answer(request.uri().path_and_query())
    }

    fn refuse(&self, problem: &Problem, _: Peer) -> HttpResponse {
        small_problem(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_for_is_there_under_tls() {
        let redirect = Redirect::to("https://panel.example:8443", None);
        let of = |target: &'static str| {
            let target = PathAndQuery::from_static(target);
            let answer = redirect.answer(Some(&target));
            assert_eq!(answer.status(), 308);
            answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(of("/"), "https://panel.example:8443/");
        assert_eq!(of("/a/b?c=d&e"), "https://panel.example:8443/a/b?c=d&e");
        assert_eq!(of("//evil.example/"), "https://panel.example:8443//evil.example/");
        assert_eq!(of("*"), "https://panel.example:8443/");
        assert_eq!(
            redirect.answer(None).headers()[header::LOCATION],
            "https://panel.example:8443/"
        );
    }
}
