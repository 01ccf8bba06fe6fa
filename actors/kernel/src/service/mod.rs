//! What stands behind a service's mailbox, the same for every service.
//!
//! ```text
//! <service>                 one for one; gives up after 5 restarts in 30 s, the root begins anew
//! ├── keeper                brings the database up and back up
//! ├── writer                (SQLite) the one writer of the file
//! ├── fence                 (PostgreSQL) ends transactions of nodes that have fallen silent
//! ├── allotter              keeps the number that ids are made with
//! ├── relay                 delivers the service's facts
//! │   └── <consumer>        one each, so that none waits for another
//! ├── janitor               removes what has expired
//! ├── purger                tells gateways what is old of what they keep
//! ├── stamper               (with Redis) writes there what is gone
//! ├── …                     the service's own actors
//! └── serving               rest for one
//!     ├── pool              keeps the workers, each of which runs the service's router
//!     ├── front_door        member of the process group; what comes from other nodes comes here
//!     └── entrance          makes it a member once the database is there
//! ```
//!
//! What fails, and what it costs:
//!
//! - a **handler panics**: that request (500). Its worker is replaced. Panics never count
//!   towards giving up, because a client could then switch a service off by repeating a request
//!   that makes it panic.
//! - a **worker dies** otherwise: its request is answered `Aborted` and may be sent again. More
//!   than [`WORKER_DEATHS`] within [`WORKER_PERIOD`] end the pool.
//! - the **pool or front door ends**: both restart; until then the service has no member here,
//!   and callers get 503 with its name, or another node.
//! - the **whole tree ends**: the root restarts it, for ever, with growing waits.

mod adapter;
mod admission;
mod desk;
mod entrance;
mod forward;
mod front_door;
pub mod internal;
mod label;
mod load;
mod pool;
mod purging;
mod rank;
mod runtime;
mod spec;
mod tree;
mod worker;

pub use adapter::Request as RequestMeta;
pub(crate) use forward::ask;
pub use forward::{Told, forward, read};
pub(crate) use internal::insiders_only;
pub use load::Load;
pub use pool::{WORKER_DEATHS, WORKER_PERIOD};
pub use runtime::{ITSELF, NodeIdentity, Runtime};
pub use spec::{Assembly, Registration, ServiceContext, ServiceSpec};
pub use tree::{Running, child};
