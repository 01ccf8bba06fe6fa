//! The only SQL of the forum. Nothing in here decides: who may do what comes from `rules`, as
//! a [`Viewer`](crate::rules::Viewer)'s level bound to the statement, or before it is run.

#[macro_use]
mod packed;

pub(crate) mod authors;
pub(crate) mod categories;
pub(crate) mod discussions;
pub(crate) mod drafts;
pub(crate) mod erasure;
pub(crate) mod feed;
pub(crate) mod merging;
pub(crate) mod moderation;
pub(crate) mod notifications;
pub(crate) mod personal;
#[macro_use]
pub(crate) mod posts;
pub(crate) mod post_list;
pub(crate) mod reactions;
pub(crate) mod reading;
pub(crate) mod revisions;
pub(crate) mod search;
#[macro_use]
pub(crate) mod threads;
pub(crate) mod thread_list;
pub(crate) mod transfer;

use panel_kernel::data::holding;

/// As many places for values as there are, from `$first` on: `$2, $3, $4`.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}

/// So many rows of so many values: `($2, $3), ($4, $5)`.
fn rows(first: usize, values: usize, count: usize) -> String {
    let row = |at: usize| format!("({})", places(first + at * values, values));
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}
