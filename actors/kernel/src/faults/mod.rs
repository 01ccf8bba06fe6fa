//! Fault points: named places in the program where a test makes it fail, to see what that costs.
//!
//! A point is armed with an action: the process dies at once, stops, panics, is slow, or what
//! happens there fails. Off unless the configuration says otherwise (`faults.enabled`), and then
//! still nothing happens at a point that nobody has armed; passing one costs one relaxed load.
//!
//! Architecture invariant: the points are the process's, not an actor's. Whoever passes one knows
//! nothing of the tests, so there is no handle that it would have to carry.

mod action;
mod actors;
mod config;
mod points;
mod release;

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

pub use action::{Action, Arming};
pub use actors::{ActorFault, strike};
pub(crate) use actors::{Breakable, has_ended};
pub use config::FaultsConfig;
pub(crate) use points::{
    DOOR_ADMIT, RECORDS_PAGE, RELAY_DELIVER, RELAY_DELIVERED, REPLY_SENT, WRITE_AFTER_COMMIT,
    WRITE_BEFORE_COMMIT, WRITE_BEFORE_TRANSACTION, WRITE_IN_TRANSACTION,
};
pub use points::{POINTS, Point, find};
pub(crate) use release::pretended;
pub use release::release;

/// Whether anything may be armed.
static ENABLED: AtomicBool = AtomicBool::new(false);
/// Whether anything is: what passing a point costs.
static ARMED: AtomicBool = AtomicBool::new(false);
/// For a stop to reach every thread of the process.
const STOPPING: std::time::Duration = std::time::Duration::from_millis(200);
static TABLE: Mutex<Vec<Armed>> = Mutex::new(Vec::new());

/// What is armed at one point.
#[derive(Clone, Debug)]
struct Armed {
    arming: Arming,
    /// Passes it has let through that it was to let through.
    skipped: u32,
    /// Times it has acted.
    acted: u32,
}

/// A point, and what is armed there.
#[derive(Clone, Debug, Serialize)]
pub struct PointStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub place: &'static str,
    /// What happens there, as it was armed; `None` if nothing does any more.
    pub armed: Option<String>,
    /// How often something has happened there since it was armed last.
    pub acted: u32,
}

/// What happened at a point was made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fault point {0} is armed")]
pub struct Injected(pub &'static str);

/// Allows faults, and arms what the configuration names. For the start of a node.
///
/// # Errors
/// A sentence, if something can't be armed.
pub fn start(config: &FaultsConfig) -> Result<(), String> {
    if !config.enabled {
        return Ok(());
    }
    ENABLED.store(true, Ordering::Relaxed);
    tracing::warn!(
        armed = config.arm.join(","),
        "fault points are enabled: this node is for tests"
    );
    if !config.release.is_empty() {
        // Once per process, as a node is.
        drop(release::PRETENDED.set(config.release.clone()));
    }
    config.arm.iter().try_for_each(|text| arm(text))
}

/// Whether faults are allowed in this process.
#[must_use]
pub fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// What is said where they are not.
pub(crate) const DISABLED: &str = "faults are not enabled; faults.enabled = true allows them, \
                                   and is for tests only";

/// Arms a point: `write.after_commit=exit`, `write.in_transaction=delay(50ms)*3@2`. What was armed
/// there before is forgotten.
///
/// # Errors
/// A sentence: faults are not enabled, there is no such point (with those there are), or the
/// action can't happen there.
pub fn arm(text: &str) -> Result<(), String> {
    if !is_enabled() {
        return Err(DISABLED.to_owned());
    }
    let arming: Arming = text.parse()?;
    let mut table = TABLE.lock();
    table.retain(|armed| armed.arming.point.name != arming.point.name);
    table.push(Armed { arming, skipped: 0, acted: 0 });
    ARMED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Disarms one point, or all of them.
///
/// # Errors
/// A sentence: faults are not enabled, or there is no such point.
pub fn disarm(name: Option<&str>) -> Result<(), String> {
    if !is_enabled() {
        return Err(DISABLED.to_owned());
    }
    let point = name.map(find).transpose()?;
    let mut table = TABLE.lock();
    table.retain(|armed| point.is_some_and(|point| armed.arming.point.name != point.name));
    ARMED.store(table.iter().any(Armed::is_live), Ordering::Relaxed);
    Ok(())
}

/// Every point, and what is armed there.
#[must_use]
pub fn list() -> Vec<PointStatus> {
    let table = TABLE.lock();
    let status = |point: &&'static Point| {
        let armed = table.iter().find(|armed| armed.arming.point.name == point.name);
        PointStatus {
            name: point.name,
            place: point.place,
            armed: armed.filter(|armed| armed.is_live()).map(|armed| armed.arming.to_string()),
            acted: armed.map_or(0, |armed| armed.acted),
        }
    };
    POINTS.iter().map(status).collect()
}

impl Armed {
    const fn is_live(&self) -> bool {
        self.acted < self.arming.times
    }
}

/// Passes a point where waiting is possible.
///
/// # Errors
/// [`Injected`], where the point is armed to fail.
pub(crate) async fn pass(point: &'static Point) -> Result<(), Injected> {
    if !ARMED.load(Ordering::Relaxed) {
        return Ok(());
    }
    match due(point) {
        Some(Action::Delay(time)) => {
            tokio::time::sleep(time.0).await;
            Ok(())
        }
        Some(action) => act(point, action),
        None => Ok(()),
    }
}

/// Passes a point where nobody may wait.
///
/// # Errors
/// [`Injected`], where the point is armed to fail.
pub(crate) fn point(point: &'static Point) -> Result<(), Injected> {
    if !ARMED.load(Ordering::Relaxed) {
        return Ok(());
    }
    due(point).map_or(Ok(()), |action| act(point, action))
}

/// What is to happen to this pass.
fn due(point: &Point) -> Option<Action> {
    let mut table = TABLE.lock();
    let armed = table.iter_mut().find(|armed| armed.arming.point.name == point.name)?;
    if !armed.is_live() {
        return None;
    }
    if armed.skipped < armed.arming.after {
        armed.skipped += 1;
        return None;
    }
    armed.acted += 1;
    let action = armed.arming.action;
    ARMED.store(table.iter().any(Armed::is_live), Ordering::Relaxed);
    drop(table);
    tracing::warn!(point = point.name, action = %action, "fault point");
    Some(action)
}

#[allow(clippy::panic, reason = "that is what was asked for")]
fn act(point: &Point, action: Action) -> Result<(), Injected> {
    match action {
        Action::Exit => exit(),
        Action::Freeze => freeze(),
        Action::Panic => panic!("the fault point {} is armed", point.name),
        Action::Error => return Err(Injected(point.name)),
        // Points that can't wait are not armed to.
        Action::Delay(_) => {}
    }
    Ok(())
}

/// Ends the process where it stands, as `kill -9` does: nothing is flushed, closed or dropped.
fn exit() -> ! {
    let own = rustix::process::getpid();
    let killed = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    // Not reached: no thread of a killed process comes back from the call above.
    tracing::error!(?killed, "the process can't be killed");
    std::process::abort()
}

/// Stops the process where it stands, until somebody sends it `SIGCONT`.
fn freeze() {
    let own = rustix::process::getpid();
    match rustix::process::kill_process(own, rustix::process::Signal::STOP) {
        // The signal is the process's and reaches this thread a moment after the first one. It
        // must not come any further than here before that.
        Ok(()) => std::thread::sleep(STOPPING),
        Err(error) => tracing::error!(%error, "the process can't be stopped"),
    }
}

#[cfg(test)]
mod tests;
