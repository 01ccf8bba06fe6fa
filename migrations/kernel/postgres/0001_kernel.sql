-- What every service's database has, whatever the service.

-- Results of writes, by idempotency slot, so that the same write is done once.
CREATE TABLE idempotency (
    slot        BYTEA  NOT NULL PRIMARY KEY,
    fingerprint BYTEA  NOT NULL,
    status      BIGINT NOT NULL,
    headers     TEXT   NOT NULL,
    body        BYTEA  NOT NULL,
    sealed      BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- Facts committed and not yet forgotten. Rows become visible in commit order, not in the order
-- of `position`: `epoch` is the transaction that wrote the row, and readers stop before the
-- oldest transaction still running, so that they never step over a row that is yet to appear.
CREATE TABLE outbox (
    position   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    epoch      BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    topic      TEXT   NOT NULL,
    payload    TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX outbox_in_order ON outbox (epoch, position);

-- How far each consumer has been served.
CREATE TABLE outbox_progress (
    consumer TEXT   NOT NULL PRIMARY KEY,
    epoch    BIGINT NOT NULL,
    position BIGINT NOT NULL
);

-- Facts of other services that were handled here, or could not be (then with the reason).
CREATE TABLE inbox (
    source      TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    rejected    TEXT,
    PRIMARY KEY (source, position)
);
CREATE INDEX inbox_by_age ON inbox (received_at);

-- Who does what only one may do, with a token that grows at every change of hands.
CREATE TABLE leases (
    name       TEXT   NOT NULL PRIMARY KEY,
    node       TEXT   NOT NULL,
    boot       TEXT   NOT NULL,
    token      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
