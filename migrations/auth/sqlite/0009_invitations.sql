-- Who has the token of one may make an account, as often as it has uses.
CREATE TABLE invitations (
    id         INTEGER NOT NULL PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    created_by INTEGER NOT NULL REFERENCES users (id),
    note       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_by_expiry ON invitations (expires_at);
