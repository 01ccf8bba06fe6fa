-- Who somebody is elsewhere (by issuer and subject), and whose account that is here.
CREATE TABLE identities (
    id           INTEGER NOT NULL PRIMARY KEY,
    user_id      INTEGER NOT NULL REFERENCES users (id),
    issuer       TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX identities_by_user ON identities (user_id, id);
