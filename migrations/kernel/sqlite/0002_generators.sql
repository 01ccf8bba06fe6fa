-- The numbers that tell the ids of two processes apart. Whoever holds one makes ids that name a
-- time before `ids_until`, and the next holder ids of later times only: so no id is made twice,
-- whatever the holder's clock says and however long it was frozen.
CREATE TABLE generators (
    number     INTEGER NOT NULL PRIMARY KEY,
    holder     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    ids_until  INTEGER NOT NULL
);
INSERT INTO generators (number, holder, expires_at, ids_until)
WITH RECURSIVE numbers (number) AS
    (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 1023)
SELECT number, '', 0, 0 FROM numbers;
