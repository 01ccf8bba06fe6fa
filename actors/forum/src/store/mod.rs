//! The only SQL of the forum. Nothing in here decides: who may do what comes from `rules`, as
//! a [`Viewer`](crate::rules::Viewer)'s level bound to the statement, or before it is run.

#[macro_use]
mod packed;

pub(crate) mod authors;
pub(crate) mod categories;
pub(crate) mod posts;
pub(crate) mod threads;

use panel_kernel::data::{Conn, Statement};

/// A reading statement that keeps others from changing the rows of `table` until the
/// transaction ends. SQLite has one writer and needs no lock. Replies to a locked row still go
/// ahead: they only need its key.
fn locked(conn: &Conn, text: &'static str, table: &str) -> Statement {
    if conn.is_postgres() {
        Statement::composed(format!("{text} FOR NO KEY UPDATE OF {table}"))
    } else {
        panel_kernel::data::sql(text)
    }
}
