-- What was mailed about lately that is no account's: under a tag that does not tell what it is.
CREATE TABLE mailed (
    about      BYTEA  NOT NULL PRIMARY KEY,
    mailed_at  BIGINT NOT NULL,
    mails      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mailed_by_expiry ON mailed (expires_at);
