-- What guests wrote. The name is the one the guest had when signing.
CREATE TABLE entries (
    id          BIGINT NOT NULL PRIMARY KEY,
    author_id   BIGINT NOT NULL,
    author_name TEXT   NOT NULL,
    text        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX entries_by_author ON entries (author_id, id);
