-- Who has the token of one may make an account, as often as it has uses.
CREATE TABLE invitations (
    id         BIGINT NOT NULL PRIMARY KEY,
    hash       BYTEA  NOT NULL UNIQUE,
    created_by BIGINT NOT NULL REFERENCES users (id),
    note       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses_left  BIGINT NOT NULL
);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);
