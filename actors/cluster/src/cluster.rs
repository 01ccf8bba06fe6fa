//! The cluster's part of a node: its tree, read as a table, and the node's handle to it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::directory::IN_FLIGHT;
use panel_kernel::service::Runtime;
use panel_kernel::supervision::{Address, ChildSpec, Strategy, SupervisorSpec};

use crate::agent::NodeAgent;
use crate::config::ClusterConfig;
use crate::dialer::Dialer;
use crate::grievances::Grievances;
use crate::handshake::Greeter;
use crate::hello::{Hello, PROTOCOL};
use crate::link::Links;
use crate::listener::Listening;
use crate::membership::Membership;
use crate::messages::{DialerMessage, MembershipMessage, RosterMessage};
use crate::prober::Prober;
use crate::roster::{self, LinkMetrics, Roster};
use crate::security::Security;
use crate::tls::{self, Credentials};

/// For the roster to answer.
const ASK: Duration = Duration::from_secs(2);

/// What links are made of.
pub struct ClusterParts {
    /// The `[cluster]` section.
    pub config: ClusterConfig,
    /// Bound once, when the node starts.
    pub socket: TcpListener,
    /// What this node does.
    pub roles: Vec<String>,
    /// Told when another node wishes that this one drain.
    pub on_drain: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for ClusterParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterParts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The cluster's part of a node, ready to be supervised, and the node's handle to it.
#[derive(Clone)]
pub struct Cluster {
    runtime: Runtime,
    links: Links,
    membership: Address<MembershipMessage>,
    in_flight: usize,
    linked: Option<Linked>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("links", &self.links).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Linked {
    roster: Roster,
    greeter: Greeter,
    dialer: Address<DialerMessage>,
    listening: Listening,
    /// Looks after the certificate, where there is one.
    watch: Option<ChildSpec>,
}

impl Cluster {
    /// A node by itself, which does this.
    #[must_use]
    pub fn alone(runtime: &Runtime, roles: Vec<String>) -> Self {
        let me = introduce(runtime, roles, String::new(), String::new());
        runtime.directory.publish_nodes(vec![roster::here(&me)]);
        Self {
            runtime: runtime.clone(),
            links: Links::default(),
            membership: Address::new(),
            in_flight: IN_FLIGHT,
            linked: None,
        }
    }

    /// A node that is to be linked with others.
    ///
    /// # Errors
    /// A sentence for the operator: the certificates can't be used, or the socket has no
    /// address.
    pub fn linked(runtime: &Runtime, parts: ClusterParts) -> Result<Self, String> {
        let ClusterParts { config, socket, roles, on_drain } = parts;
        let listens = socket.local_addr().map_err(|error| error.to_string())?;
        let alone = Self::alone(runtime, roles.clone());
        let alone = Self { in_flight: config.member_in_flight, ..alone };
        let address = advertised(&config, listens);
        let me = introduce(runtime, roles, config.name.clone(), address);
        let metrics = LinkMetrics::new(&runtime.metrics).map_err(|error| error.to_string())?;
        let grievances = Grievances::new(&runtime.metrics).map_err(|error| error.to_string())?;
        let (address, dialer) = (Address::new(), Address::new());
        let (security, watch) = secured(runtime, &config, &me)?;
        let greeter =
            Greeter { me: me.clone(), security, roster: address.clone(), from: listens.ip() };
        let roster = Roster {
            runtime: runtime.clone(),
            me,
            seeds: config.seeds,
            link_bytes: config.link_bytes,
            links: alone.links.clone(),
            grievances: grievances.clone(),
            metrics,
            address,
            dialer: dialer.clone(),
            membership: alone.membership.clone(),
            on_drain,
        };
        let listening =
            Listening { socket: Arc::new(socket), greeter: greeter.clone(), grievances };
        Ok(Self { linked: Some(Linked { roster, greeter, dialer, listening, watch }), ..alone })
    }

    /// Tells the other nodes that this one leaves: they send it nothing new.
    pub fn leave(&self) {
        if let Some(linked) = &self.linked {
            drop(linked.roster.address.send(RosterMessage::Leave));
        }
    }

    /// Whether other nodes may be linked with this one.
    #[must_use]
    pub const fn is_linked(&self) -> bool {
        self.linked.is_some()
    }

    /// Asks another node to drain and end. `false`: no node of that name is linked.
    pub async fn drain(&self, node: &str) -> bool {
        let Some(linked) = &self.linked else { return false };
        let ask = |port| RosterMessage::DrainThere(node.to_owned(), port);
        linked.roster.address.call(ask, ASK).await.unwrap_or(false)
    }

    /// As a child of the root.
    #[must_use]
    pub fn child(&self) -> ChildSpec {
        let membership = {
            let cluster = self.clone();
            ChildSpec::new("membership", move || {
                let membership = Membership {
                    runtime: cluster.runtime.clone(),
                    address: cluster.membership.clone(),
                    links: cluster.links.clone(),
                    in_flight: cluster.in_flight,
                };
                (membership, ())
            })
        };
        let prober = {
            let runtime = self.runtime.clone();
            ChildSpec::new("prober", move || (Prober { runtime: runtime.clone() }, ()))
        };
        let top =
            SupervisorSpec::new("cluster", &self.runtime.tree).child(membership).child(prober);
        let top = match &self.linked {
            Some(linked) => {
                let watch = linked.watch.iter().cloned();
                watch.fold(top, SupervisorSpec::child).child(self.links_child(linked))
            }
            None => top,
        };
        top.into_child("cluster")
    }

    fn links_child(&self, linked: &Linked) -> ChildSpec {
        let roster = linked.roster.clone();
        let agent = {
            let (links, roster) = (self.links.clone(), linked.roster.address.clone());
            let clock = self.runtime.clock.clone();
            ChildSpec::new("agent", move || {
                let (links, roster) = (links.clone(), roster.clone());
                (NodeAgent { links, roster, clock: clock.clone() }, ())
            })
        };
        let dialer = {
            let (greeter, address) = (linked.greeter.clone(), linked.dialer.clone());
            ChildSpec::new("dialer", move || {
                (Dialer { greeter: greeter.clone(), address: address.clone() }, ())
            })
        };
        let listening = linked.listening.clone();
        SupervisorSpec::new("cluster/links", &self.runtime.tree)
            .strategy(Strategy::RestForOne)
            .child(ChildSpec::new("roster", move || (roster.clone(), ())))
            .child(agent)
            .child(dialer)
            .child(ChildSpec::task("listener", move || listening.clone().run()))
            .into_child("links")
    }
}

/// How links are secured. The node's own certificate must say what the node says, or every other
/// node would refuse it.
fn secured(
    runtime: &Runtime,
    config: &ClusterConfig,
    me: &Hello,
) -> Result<(Security, Option<ChildSpec>), String> {
    if config.plaintext {
        return Ok((Security::Plaintext, None));
    }
    let credentials = Credentials::load(&config.tls_dir, runtime.clock.clone())
        .map_err(|error| error.to_string())?;
    let own = credentials.own();
    let dir = config.tls_dir.display();
    if own.name != me.name {
        let (is, name) = (&own.name, &me.name);
        return Err(format!("the certificate in {dir} is that of {is:?}, this node is {name:?}"));
    }
    if let Some(role) = me.roles.iter().find(|role| !own.roles.contains(*role)) {
        return Err(format!(
            "the certificate in {dir} does not allow the role {role:?}: issue another, or choose \
             other --roles"
        ));
    }
    let credentials = credentials.serving(me.roles.clone());
    let watch = tls::certificate_watch(runtime, &credentials).map_err(|error| error.to_string())?;
    Ok((Security::Tls(credentials), Some(watch)))
}

/// What this node says of itself.
fn introduce(runtime: &Runtime, roles: Vec<String>, cluster: String, address: String) -> Hello {
    Hello {
        protocol: PROTOCOL,
        cluster,
        name: runtime.node.name.to_string(),
        boot: runtime.node.boot.to_string(),
        version: runtime.node.version.to_owned(),
        roles,
        address,
        token: String::new(),
    }
}

/// Where others are told to connect.
fn advertised(config: &ClusterConfig, listens: SocketAddr) -> String {
    if config.advertise.is_empty() { listens.to_string() } else { config.advertise.clone() }
}
