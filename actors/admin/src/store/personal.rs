//! What the audit log has of people, for themselves: what they did, and what was done to their accounts.

use panel_kernel::personal::{Column, Person, Records};

const COLUMNS: &[(&str, Column)] = &[
    ("position", Column::Position),
    ("at", Column::Time),
    ("service", Column::Text),
    ("action", Column::Text),
    ("target", Column::Text),
    ("record", Column::Json),
];

/// Kinds of records, in the order in which they are told. Who acted on somebody else's account is not
/// theirs to know: of those records, only what happened is told.
pub(crate) const RECORDS: [Records; 2] = [
    Records {
        name: "acts",
        select: "SELECT id, at, service, action, target, record FROM audit \
                 WHERE actor = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Text,
        columns: COLUMNS,
    },
    Records {
        name: "acts_of_others",
        select: "SELECT id, at, service, action, target FROM audit \
                 WHERE subject = $1 AND actor <> $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Text,
        columns: COLUMNS,
    },
];
