-- What was mailed about lately that is no account's: under a tag that does not tell what it is.
CREATE TABLE mailed (
    about      BLOB    NOT NULL PRIMARY KEY,
    mailed_at  INTEGER NOT NULL,
    mails      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX mailed_by_expiry ON mailed (expires_at);
