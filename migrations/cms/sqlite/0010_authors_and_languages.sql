-- Who wrote an article with its author: their accounts, as JSON, in the order in which they are named.
ALTER TABLE articles ADD COLUMN co_authors TEXT NOT NULL DEFAULT '[]';

-- The same, to be found by who they are. With `published_at` only while it is published.
CREATE TABLE co_authored (
    author_id    INTEGER NOT NULL,
    article_id   INTEGER NOT NULL REFERENCES articles (id),
    kind         TEXT    NOT NULL CHECK (kind IN ('post', 'page')),
    published_at INTEGER,
    PRIMARY KEY (author_id, article_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX co_authored_published ON co_authored (author_id, kind, published_at DESC, article_id DESC)
    WHERE published_at IS NOT NULL;
CREATE INDEX co_authored_of ON co_authored (article_id);

-- What those are called who are named so, and whoever was renamed or is gone; NULL: they are gone.
CREATE TABLE people (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT
) STRICT;

-- In which language an article is (BCP 47), if that is known; and of which it is a translation: the one that was there
-- first, for all of them.
ALTER TABLE articles ADD COLUMN language TEXT;
ALTER TABLE articles ADD COLUMN translation_of INTEGER;
CREATE INDEX articles_translations ON articles (translation_of) WHERE translation_of IS NOT NULL;
