-- Accounts as this service knows them: a projection, fed by the facts of the auth service.
CREATE TABLE users (
    id           INTEGER NOT NULL PRIMARY KEY,
    username     TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    display_name TEXT    NOT NULL,
    search       TEXT    NOT NULL,
    role         INTEGER NOT NULL,
    status       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX users_by_role ON users (role, id);
CREATE INDEX users_by_status ON users (status, id);

-- What was done, by whom, to what: told by every service in the transaction of the act.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    service     TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    record      TEXT    NOT NULL,
    UNIQUE (service, position)
) STRICT;
