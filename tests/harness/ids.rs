//! Ids that a test makes itself: accounts nobody has registered, rows it puts there.

use std::sync::LazyLock;

use panel_kernel::ids::{Id, Ids};
use panel_kernel::time::Clock;

/// The last number there is; a service's database begins with the first.
static IDS: LazyLock<Ids> = LazyLock::new(|| Ids::fixed(Clock::system(), 1_023));

/// A new one, greater than every one before.
#[must_use]
pub fn new_id() -> Id {
    IDS.next().unwrap()
}
