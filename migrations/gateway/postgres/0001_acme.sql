-- What gateways share of the site's certificate, where an authority issues it to them (RFC 8555).

-- The account at each authority; sealed under the cluster's key.
CREATE TABLE acme_accounts (
    directory  TEXT   NOT NULL PRIMARY KEY,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- The certificate in force, for each set of names at each authority; the key is sealed. Another is
-- `wanted` where somebody has asked for it before it is due.
CREATE TABLE acme_certificates (
    directory  TEXT   NOT NULL,
    names      TEXT   NOT NULL,
    chain      TEXT   NOT NULL,
    sealed_key BYTEA  NOT NULL,
    issued_at  BIGINT NOT NULL,
    wanted     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (directory, names)
);

-- What an authority asks to see of a name, for whichever gateway it asks.
CREATE TABLE acme_challenges (
    token      TEXT   NOT NULL PRIMARY KEY,
    host       TEXT   NOT NULL,
    answer     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX acme_challenges_by_host ON acme_challenges (host, expires_at);
CREATE INDEX acme_challenges_by_expiry ON acme_challenges (expires_at);

-- What went wrong since the last certificate, and when to try again.
CREATE TABLE acme_failures (
    directory TEXT   NOT NULL,
    names     TEXT   NOT NULL,
    failures  BIGINT NOT NULL,
    next_at   BIGINT NOT NULL,
    said      TEXT   NOT NULL,
    PRIMARY KEY (directory, names)
);
