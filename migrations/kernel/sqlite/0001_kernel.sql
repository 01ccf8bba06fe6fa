-- What every service's database has, whatever the service.

-- Results of writes, by idempotency slot, so that the same write is done once.
CREATE TABLE idempotency (
    slot        BLOB    NOT NULL PRIMARY KEY,
    fingerprint BLOB    NOT NULL,
    status      INTEGER NOT NULL,
    headers     TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    sealed      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- Facts committed and not yet forgotten, in commit order.
CREATE TABLE outbox (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch      INTEGER NOT NULL DEFAULT 0,
    topic      TEXT    NOT NULL,
    payload    TEXT    NOT NULL,
    created_at INTEGER NOT NULL
);

-- How far each consumer has been served.
CREATE TABLE outbox_progress (
    consumer TEXT    NOT NULL PRIMARY KEY,
    epoch    INTEGER NOT NULL,
    position INTEGER NOT NULL
) WITHOUT ROWID;

-- Facts of other services that were handled here, or could not be (then with the reason).
CREATE TABLE inbox (
    source      TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    rejected    TEXT,
    PRIMARY KEY (source, position)
) WITHOUT ROWID;
CREATE INDEX inbox_by_age ON inbox (received_at);

-- Who does what only one may do, with a token that grows at every change of hands.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    node       TEXT    NOT NULL,
    boot       TEXT    NOT NULL,
    token      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
