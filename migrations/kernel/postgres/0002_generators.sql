-- The numbers that tell the ids of two processes apart. Whoever holds one makes ids that name a
-- time before `ids_until`, and the next holder ids of later times only: so no id is made twice,
-- whatever the holder's clock says and however long it was frozen.
CREATE TABLE generators (
    number     BIGINT NOT NULL PRIMARY KEY,
    holder     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    ids_until  BIGINT NOT NULL
);
INSERT INTO generators (number, holder, expires_at, ids_until)
SELECT number, '', 0, 0 FROM generate_series(0, 1023) AS number;
