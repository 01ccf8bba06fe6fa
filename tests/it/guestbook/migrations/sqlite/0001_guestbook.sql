-- What guests wrote. The name is the one the guest had when signing.
CREATE TABLE entries (
    id          INTEGER NOT NULL PRIMARY KEY,
    author_id   INTEGER NOT NULL,
    author_name TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX entries_by_author ON entries (author_id, id);
