-- Accounts as this service knows them: a projection, fed by the facts of the auth service.
CREATE TABLE users (
    id           BIGINT NOT NULL PRIMARY KEY,
    username     TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    display_name TEXT    NOT NULL,
    search       TEXT    NOT NULL,
    role         BIGINT NOT NULL,
    status       TEXT    NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX users_by_role ON users (role, id);
CREATE INDEX users_by_status ON users (status, id);

-- What was done, by whom, to what: told by every service in the transaction of the act.
CREATE TABLE audit (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service     TEXT    NOT NULL,
    position    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    record      TEXT    NOT NULL,
    UNIQUE (service, position)
);
