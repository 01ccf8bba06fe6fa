CREATE TABLE articles (
    id           INTEGER NOT NULL PRIMARY KEY,
    slug         TEXT    NOT NULL UNIQUE,
    title        TEXT    NOT NULL,
    excerpt      TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    body_html    TEXT    NOT NULL,
    status       TEXT    NOT NULL
        CHECK (status IN ('draft', 'in_review', 'scheduled', 'published', 'archived')),
    author_id    INTEGER NOT NULL,
    author_name  TEXT    NOT NULL,
    category     TEXT,
    tags         TEXT    NOT NULL DEFAULT '[]',
    published_at INTEGER,
    updated_at   INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX articles_published ON articles (published_at DESC, id DESC)
    WHERE status = 'published';
CREATE INDEX articles_published_in ON articles (category, published_at DESC, id DESC)
    WHERE status = 'published';

CREATE TABLE article_tags (
    tag        TEXT    NOT NULL,
    article_id INTEGER NOT NULL REFERENCES articles (id),
    PRIMARY KEY (tag, article_id)
) STRICT, WITHOUT ROWID;
