-- Who somebody is elsewhere (by issuer and subject), and whose account that is here.
CREATE TABLE identities (
    id           BIGINT NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id),
    issuer       TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id, id);
