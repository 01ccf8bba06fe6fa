//! A CDN in front of the site: what it may keep, that it is told what is old, and that nobody who reads through it
//! sees what is gone.

mod headers;
mod nodes;
mod purging;
mod reading;

use std::time::Duration;

use panel_harness::{Backend, Cdn, Probe, Rig, RigBuilder};
use panel_kernel::time::{Clock, Timestamp};

const WITHIN: Duration = Duration::from_secs(30);
/// The tag of all that nodes of the tests answer.
const SITE: &str = "community.example";

/// A rig with a probe behind a CDN, on a clock that stands still.
async fn rig(cdn: &Cdn, probe: &Probe) -> (Rig, Clock) {
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    let builder = RigBuilder::new(Backend::Sqlite.database().await).clock(clock.clone());
    let builder = builder.probe(probe).gateway(|gateway| gateway.cdn = cdn.config());
    (Box::pin(builder.start()).await, clock)
}

/// What the rig's site is called.
fn site(rig: &Rig) -> String {
    rig.client().address().to_owned()
}
