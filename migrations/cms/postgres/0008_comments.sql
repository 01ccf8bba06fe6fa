-- Whether an article wants comments; where they are, the forum knows.
ALTER TABLE articles ADD COLUMN comments BIGINT NOT NULL DEFAULT 0 CHECK (comments IN (0, 1));
