//! Follows the process groups of front doors and publishes the directory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use panel_kernel::directory::{Member, SCOPE, Table, service_of};
use panel_kernel::service::Runtime;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent, pg};
use ractor_cluster::RactorMessage;

/// Group changes are pushed; looking again now and then makes a lost one harmless.
const LOOK: Duration = Duration::from_secs(2);

/// What membership is told.
#[derive(Debug, RactorMessage)]
pub enum MembershipMessage {
    /// Compare the directory with the groups. A tick.
    Look,
}

/// Keeps the node's directory.
#[derive(Debug)]
pub struct Membership {
    /// The node.
    pub runtime: Runtime,
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
        pg::monitor_scope(SCOPE.to_owned(), myself.get_cell());
        myself.send_message(MembershipMessage::Look)?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<MembershipMessage>,
        MembershipMessage::Look: MembershipMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.look();
        drop(myself.send_after(LOOK, || MembershipMessage::Look));
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
                .map(|cell| self.member(&before, service, cell))
                .collect();
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

    /// The member as it is known, or a new one. Known ones keep their counters.
    fn member(
        &self,
        before: &BTreeMap<String, Arc<[Arc<Member>]>>,
        service: &str,
        cell: ActorCell,
    ) -> Arc<Member> {
        let known = before
            .get(service)
            .and_then(|members| members.iter().find(|member| member.id() == cell.get_id()));
        known.cloned().unwrap_or_else(|| {
            let node = self.runtime.node.name.to_string();
            Arc::new(Member::new(node, env!("CARGO_PKG_VERSION").to_owned(), cell.into()))
        })
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
