-- Who wants a mail now and then of what they were told and have not read. `last_id`: of the latest thing that was
-- in one, or was there when they began to want it.
CREATE TABLE digests (
    user_id INTEGER NOT NULL PRIMARY KEY,
    every   TEXT NOT NULL CHECK (every IN ('daily', 'weekly')),
    next_at INTEGER NOT NULL,
    last_id INTEGER NOT NULL
) STRICT;
CREATE INDEX digests_by_next ON digests (next_at, user_id);
