//! What the audit log has of people, for themselves: what they did, and what was done to their accounts.

use panel_kernel::personal::{Column, Person, Records};

/// From where it was done. What else a record holds may be somebody else's.
const FROM_WHERE: Column = Column::Fields(&["ip", "request_id"]);

/// Kinds of records, in the order in which they are told. Signing in is done by nobody in particular, and is
/// the account's own. Who else acted on it is not its owner's to know: of that, only what happened is told.
pub(crate) const RECORDS: [Records; 3] = [
    Records {
        name: "acts",
        select: "SELECT id, at, service, action, target, record FROM audit WHERE actor = $1 \
                 AND id > $2 AND (subject IS NULL OR subject <> $1) ORDER BY id LIMIT $3",
        person: Person::Text,
        columns: &[
            ("position", Column::Position),
            ("at", Column::Time),
            ("service", Column::Text),
            ("action", Column::Text),
            ("target", Column::Text),
            ("record", FROM_WHERE),
        ],
    },
    Records {
        name: "acts_on_the_account",
        select: "SELECT id, at, service, action, target, record FROM audit WHERE subject = $1 \
                 AND id > $2 AND actor IN ($1, 'anonymous') ORDER BY id LIMIT $3",
        person: Person::Text,
        columns: &[
            ("position", Column::Position),
            ("at", Column::Time),
            ("service", Column::Text),
            ("action", Column::Text),
            ("target", Column::Text),
            ("record", Column::Json),
        ],
    },
    Records {
        name: "acts_of_others",
        select: "SELECT id, at, service, action, target FROM audit WHERE subject = $1 \
                 AND id > $2 AND actor NOT IN ($1, 'anonymous') ORDER BY id LIMIT $3",
        person: Person::Text,
        columns: &[
            ("position", Column::Position),
            ("at", Column::Time),
            ("service", Column::Text),
            ("action", Column::Text),
            ("target", Column::Text),
        ],
    },
];
