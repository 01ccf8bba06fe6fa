//! The only SQL of the forum. Nothing in here decides: who may do what comes from `rules`, as
//! a [`Viewer`](crate::rules::Viewer)'s level bound to the statement, or before it is run.

#[macro_use]
mod packed;

pub(crate) mod authors;
pub(crate) mod categories;
pub(crate) mod personal;
pub(crate) mod posts;
#[macro_use]
pub(crate) mod threads;
pub(crate) mod thread_list;

use panel_kernel::data::{Conn, Statement};

/// A reading statement that keeps others from changing the rows of `table` until the
/// transaction ends; rows that refer to them can still be added. SQLite has one writer and
/// needs no lock.
fn holding(conn: &Conn, text: &'static str, table: &str) -> Statement {
    if conn.is_postgres() {
        Statement::composed(format!("{text} FOR NO KEY UPDATE OF {table}"))
    } else {
        panel_kernel::data::sql(text)
    }
}
