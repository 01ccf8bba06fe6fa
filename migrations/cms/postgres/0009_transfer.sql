-- Which site this is, for those that take something over from it. One row, made when it is first asked for.
CREATE TABLE cms_site (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL
);

-- What was taken over from elsewhere: what it was called there, and here.
CREATE TABLE imported (
    source TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('person', 'article')),
    key    TEXT NOT NULL,
    id     BIGINT NOT NULL,
    -- The name that a person had there.
    name   TEXT,
    PRIMARY KEY (source, kind, key)
);
