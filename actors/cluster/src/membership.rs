//! Follows the process groups of front doors and publishes the directory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::directory::{Member, SCOPE, Standing, Table, service_of};
use panel_kernel::service::Runtime;
use panel_kernel::supervision::Address;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent, pg};

use crate::link::Links;
use crate::messages::MembershipMessage;

/// Group changes are pushed; looking again now and then makes a lost one harmless.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps the node's directory.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) runtime: Runtime,
    pub(crate) address: Address<MembershipMessage>,
    pub(crate) links: Links,
    /// Requests this node may have in flight at one member.
    pub(crate) in_flight: usize,
}

impl Actor for Membership {
    type Msg = MembershipMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<MembershipMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        self.address.announce(&myself);
        pg::monitor_scope(SCOPE.to_owned(), myself.get_cell());
        myself.send_message(MembershipMessage::Look)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<MembershipMessage>,
        message: MembershipMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.look();
        if matches!(message, MembershipMessage::Look) {
            drop(myself.send_after(LOOK, || MembershipMessage::Look));
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<MembershipMessage>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if matches!(event, SupervisionEvent::ProcessGroupChanged(_)) {
            self.look();
        }
        Ok(())
    }
}

impl Membership {
    fn look(&self) {
        let before = self.runtime.directory.snapshot();
        let mut table = Table::new();
        for group in pg::which_scoped_groups(&SCOPE.to_owned()) {
            let Some(service) = service_of(&group) else { continue };
            let mut members: Vec<Arc<Member>> = pg::get_scoped_members(&SCOPE.to_owned(), &group)
                .into_iter()
                .filter_map(|cell| self.member(&before, service, cell))
                .collect();
            if members.is_empty() && !before.contains_key(service) {
                // Anybody may make groups.
                continue;
            }
            members.sort_by_key(|member| member.id());
            table.insert(service.to_owned(), members.into());
        }
        // A service that had members stays known, so that it shows as down and not as unknown.
        for service in before.keys() {
            table.entry(service.clone()).or_insert_with(|| Arc::from([]));
        }
        if !same(&before, &table) {
            self.runtime.directory.publish(table);
        }
    }

    /// The member as it is known, or a new one. Known ones keep their counters. `None`: its
    /// node may not have it, or its link is not ready.
    fn member(
        &self,
        before: &BTreeMap<String, Arc<[Arc<Member>]>>,
        service: &str,
        cell: ActorCell,
    ) -> Option<Arc<Member>> {
        let known = before
            .get(service)
            .and_then(|members| members.iter().find(|member| member.id() == cell.get_id()));
        let (node, version, standing) = match cell.get_id() {
            ActorId::Local(_) => {
                if let Some(known) = known {
                    return Some(Arc::clone(known));
                }
                let name = self.runtime.node.name.to_string();
                (name, self.runtime.node.version.to_owned(), Standing::here())
            }
            ActorId::Remote { node_id, .. } => {
                let link = self.links.numbered(node_id).filter(|link| link.is_ready())?;
                if !link.peer.roles.iter().any(|role| role == service) {
                    // Its certificate covers the roles it has named, and no others.
                    tracing::debug!(service, peer = link.peer.name, "not a role of that node");
                    return None;
                }
                let standing = Arc::clone(&link.standing);
                // Numbers begin anew with a new node server.
                if let Some(known) = known.filter(|known| Arc::ptr_eq(known.standing(), &standing))
                {
                    return Some(Arc::clone(known));
                }
                (link.peer.name.clone(), link.peer.version.clone(), standing)
            }
        };
        let member = Member::new(node, version, cell.into(), standing);
        Some(Arc::new(member.short_way(&self.runtime.directory).at_most(self.in_flight)))
    }
}

fn same(a: &Table, b: &Table) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((name_a, a), (name_b, b))| {
            name_a == name_b
                && a.len() == b.len()
                && a.iter().zip(b.iter()).all(|(a, b)| Arc::ptr_eq(a, b))
        })
}
