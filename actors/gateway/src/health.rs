//! What the node as a whole can say of its health.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use panel_kernel::directory::{BreakerState, Directory, MemberStatus};
use panel_kernel::service::Runtime;
use serde::Serialize;
use utoipa::ToSchema;

/// A thing the node depends on, and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DependencyHealth {
    /// `up`, `down`, `read_only`, `not_configured`.
    pub status: &'static str,
    /// Why, if it is not up. Fixed words: what drivers say names hosts, paths and accounts, and
    /// anybody may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Whose it is that is not up, where services have one each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<&'static str>,
}

impl DependencyHealth {
    /// It answers.
    #[must_use]
    pub const fn up() -> Self {
        Self { status: "up", reason: None, services: Vec::new() }
    }

    /// It does not, for this reason.
    #[must_use]
    pub const fn down(reason: &'static str) -> Self {
        Self { status: "down", reason: Some(reason), services: Vec::new() }
    }

    /// It is that of these services.
    #[must_use]
    pub fn of(self, services: Vec<&'static str>) -> Self {
        Self { services, ..self }
    }

    /// Reading from it works, writing does not, for this reason.
    #[must_use]
    pub const fn read_only(reason: &'static str) -> Self {
        Self { status: "read_only", reason: Some(reason), services: Vec::new() }
    }

    /// It was not asked for.
    #[must_use]
    pub const fn not_configured() -> Self {
        Self { status: "not_configured", reason: None, services: Vec::new() }
    }

    fn is_fine(&self) -> bool {
        matches!(self.status, "up" | "not_configured")
    }
}

/// Asks for all dependencies' health, from what is already known.
pub type Dependencies = Arc<dyn Fn() -> BTreeMap<&'static str, DependencyHealth> + Send + Sync>;

/// Everything the health answers are made from.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) runtime: Runtime,
    pub(crate) services: Arc<[&'static str]>,
    pub(crate) dependencies: Dependencies,
    pub(crate) started: Instant,
}

/// `GET /api/v2/health`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthReport {
    /// `healthy`, `degraded` (something is missing), `unhealthy` (no service is up).
    pub(crate) status: &'static str,
    /// The node that answers.
    pub(crate) node: String,
    /// Its release.
    pub(crate) version: &'static str,
    /// Since its start.
    pub(crate) uptime_seconds: u64,
    /// Every service of this release.
    pub(crate) services: BTreeMap<&'static str, ServiceReport>,
    /// What the node depends on.
    pub(crate) dependencies: BTreeMap<&'static str, DependencyHealth>,
}

/// One service's health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceReport {
    /// `healthy` if a member is up, `degraded` if none that is has its database, else
    /// `unavailable`.
    pub(crate) status: &'static str,
    /// Its members.
    pub(crate) members: Vec<MemberReport>,
}

/// One member's health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberReport {
    /// The node it is on.
    pub(crate) node: String,
    /// `up`, `suspect`, `draining`, `down`.
    #[schema(value_type = String)]
    pub(crate) status: MemberStatus,
    /// `closed` (all is well), `half_open`, `open`: its node is well, the service on it hangs.
    #[schema(value_type = String)]
    pub(crate) breaker: BreakerState,
    /// Whether it has what it needs, a database mostly. If not, others are asked.
    pub(crate) ready: bool,
    /// Whether this gateway leaves it alone for a while, because it fails more than the others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) ejected: bool,
    /// Requests this gateway has in flight there.
    pub(crate) in_flight: usize,
    /// Its release.
    pub(crate) version: String,
}

impl Health {
    pub(crate) fn report(&self) -> HealthReport {
        let services: BTreeMap<&'static str, ServiceReport> =
            self.services.iter().map(|name| (*name, self.service(name))).collect();
        let dependencies = (self.dependencies)();
        let all = |status: &str| services.values().all(|service| service.status == status);
        let status = if all("unavailable") {
            "unhealthy"
        } else if all("healthy") && dependencies.values().all(DependencyHealth::is_fine) {
            "healthy"
        } else {
            "degraded"
        };
        HealthReport {
            status,
            node: self.runtime.node.name.to_string(),
            version: self.runtime.node.version,
            uptime_seconds: self.started.elapsed().as_secs(),
            services,
            dependencies,
        }
    }

    pub(crate) fn service(&self, name: &str) -> ServiceReport {
        service_report(&self.runtime.directory, name)
    }
}

fn service_report(directory: &Directory, name: &str) -> ServiceReport {
    let members = directory.members(name);
    let mut members: Vec<MemberReport> = members
        .iter()
        .map(|member| MemberReport {
            node: member.node.clone(),
            status: member.status(),
            breaker: member.breaker(),
            ready: member.is_ready(),
            ejected: member.record().is_ejected(Instant::now()),
            in_flight: member.in_flight(),
            version: member.version.clone(),
        })
        .collect();
    members.extend(missing(directory, name, &members));
    members.sort_by(|a, b| a.node.cmp(&b.node));
    let answers = |member: &&MemberReport| {
        member.status == MemberStatus::Up && member.breaker != BreakerState::Open
    };
    let up: Vec<&MemberReport> = members.iter().filter(answers).collect();
    let status = match up.iter().any(|member| member.ready) {
        true => "healthy",
        false if up.is_empty() => "unavailable",
        false => "degraded",
    };
    ServiceReport { status, members }
}

/// Nodes that should have a member and have none.
fn missing(directory: &Directory, service: &str, there: &[MemberReport]) -> Vec<MemberReport> {
    let nodes = directory.nodes();
    let has_role = |roles: &[String]| roles.iter().any(|role| role == service);
    nodes
        .iter()
        .filter(|node| has_role(&node.roles))
        .filter(|node| !there.iter().any(|member| *member.node == *node.name))
        .map(|node| MemberReport {
            node: node.name.to_string(),
            status: MemberStatus::Down,
            breaker: BreakerState::Closed,
            ready: false,
            ejected: false,
            in_flight: 0,
            version: node.version.to_string(),
        })
        .collect()
}
