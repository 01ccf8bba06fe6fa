-- Who wants a mail now and then of what they were told and have not read. `last_id`: of the latest thing that was
-- in one, or was there when they began to want it.
CREATE TABLE digests (
    user_id BIGINT NOT NULL PRIMARY KEY,
    every   TEXT NOT NULL CHECK (every IN ('daily', 'weekly')),
    next_at BIGINT NOT NULL,
    last_id BIGINT NOT NULL
);
CREATE INDEX digests_by_next ON digests (next_at, user_id);
