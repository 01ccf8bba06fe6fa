//! What this service has of people, for themselves. Not what keeps the site safe: hashes, sealed secrets.

use panel_kernel::personal::{Column, Person, Records};

/// Kinds of records, in the order in which they are told.
pub(crate) const RECORDS: [Records; 9] = [
    Records {
        name: "account",
        select: "SELECT id, username, email, display_name, role, status, suspended_until, \
                 suspension_reason, email_verified_at, created_at, updated_at, signed_in_at, \
                 password_changed_at FROM users WHERE id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("username", Column::Text),
            ("email", Column::Text),
            ("display_name", Column::Text),
            ("role", Column::Role),
            ("status", Column::Text),
            ("suspended_until", Column::Time),
            ("suspension_reason", Column::Text),
            ("email_verified_at", Column::Time),
            ("created_at", Column::Time),
            ("updated_at", Column::Time),
            ("signed_in_at", Column::Time),
            ("password_changed_at", Column::Time),
        ],
    },
    Records {
        name: "addresses_asked_for",
        select: "SELECT expires_at, new_email, expires_at FROM one_time_tokens \
                 WHERE user_id = $1 AND purpose = 'change_email' AND expires_at > $2 \
                 ORDER BY expires_at LIMIT $3",
        person: Person::Id,
        columns: &[
            ("position", Column::Position),
            ("email", Column::Text),
            ("expires_at", Column::Time),
        ],
    },
    Records {
        name: "sessions",
        select: "SELECT id, created_at, last_used_at, expires_at, revoked_at, ip, user_agent \
                 FROM sessions WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("created_at", Column::Time),
            ("last_used_at", Column::Time),
            ("expires_at", Column::Time),
            ("revoked_at", Column::Time),
            ("ip", Column::Text),
            ("user_agent", Column::Text),
        ],
    },
    Records {
        name: "api_keys",
        select: "SELECT id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at \
                 FROM api_keys WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("name", Column::Text),
            ("prefix", Column::Text),
            ("scopes", Column::Text),
            ("created_at", Column::Time),
            ("expires_at", Column::Time),
            ("last_used_at", Column::Time),
            ("revoked_at", Column::Time),
        ],
    },
    Records {
        name: "passkeys",
        select: "SELECT id, name, created_at, last_used_at FROM passkeys \
                 WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("name", Column::Text),
            ("created_at", Column::Time),
            ("last_used_at", Column::Time),
        ],
    },
    Records {
        name: "second_factor",
        select: "SELECT user_id, created_at, confirmed_at FROM totp \
                 WHERE user_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("position", Column::Position),
            ("created_at", Column::Time),
            ("confirmed_at", Column::Time),
        ],
    },
    Records {
        name: "identities",
        select: "SELECT id, issuer, subject, name, created_at, last_used_at FROM identities \
                 WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("issuer", Column::Text),
            ("subject", Column::Text),
            ("name", Column::Text),
            ("created_at", Column::Time),
            ("last_used_at", Column::Time),
        ],
    },
    Records {
        name: "invitations",
        select: "SELECT id, note, created_at, expires_at, uses_left FROM invitations \
                 WHERE created_by = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("note", Column::Text),
            ("created_at", Column::Time),
            ("expires_at", Column::Time),
            ("uses_left", Column::Number),
        ],
    },
    Records {
        name: "exports",
        select: "SELECT id, status, requested_at, finished_at, expires_at, downloaded_at \
                 FROM exports WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        person: Person::Id,
        columns: &[
            ("id", Column::Id),
            ("status", Column::Text),
            ("requested_at", Column::Time),
            ("finished_at", Column::Time),
            ("expires_at", Column::Time),
            ("downloaded_at", Column::Time),
        ],
    },
];
