//! The port of one service: `curl localhost:5002/health` says how the forum is.

use http::{Request, StatusCode};
use hyper::body::Incoming;
use panel_kernel::problem::{Kind, Problem};
use serde::Serialize;

use crate::health::{Health, MemberReport};
use crate::server::{Handler, HttpResponse, Peer, small_answer, small_problem, unless_read};

/// Answers for one service.
#[derive(Clone)]
pub(crate) struct ServicePort {
    pub(crate) service: &'static str,
    pub(crate) health: Health,
}

#[derive(Serialize)]
struct Report {
    service: &'static str,
    status: &'static str,
    node: String,
    members: Vec<MemberReport>,
}

impl Handler for ServicePort {
    async fn handle(&self, request: Request<Incoming>, _: Peer) -> HttpResponse {
        if request.uri().path() != "/health" {
            let detail = format!(
                "this port answers /health of {} only; the API is on the gateway's port",
                self.service
            );
            return small_problem(&Problem::new(Kind::NotFound, detail));
        }
        if let Some(answer) = unless_read(request.method()) {
            return answer;
        }
        let report = self.health.service(self.service);
        let up = report.status != "unavailable";
        let report = Report {
            service: self.service,
            status: report.status,
            node: self.health.runtime.node.name.to_string(),
            members: report.members,
        };
        let status = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = serde_json::to_vec(&report).unwrap_or_default();
        small_answer(status, "application/json", body)
    }

    fn refuse(&self, problem: &Problem, _: Peer) -> HttpResponse {
        small_problem(problem)
    }
}
