-- Pictures of libraries are known by where they are from as well: what was removed here stays removed.
CREATE TABLE imported_all (
    source TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('person', 'article', 'picture')),
    key    TEXT NOT NULL,
    id     INTEGER NOT NULL,
    -- The name that a person had there.
    name   TEXT,
    PRIMARY KEY (source, kind, key)
) STRICT, WITHOUT ROWID;
INSERT INTO imported_all (source, kind, key, id, name) SELECT source, kind, key, id, name FROM imported;
DROP TABLE imported;
ALTER TABLE imported_all RENAME TO imported;
