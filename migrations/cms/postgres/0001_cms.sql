CREATE TABLE articles (
    id           BIGINT NOT NULL PRIMARY KEY,
    slug         TEXT    NOT NULL UNIQUE,
    title        TEXT    NOT NULL,
    excerpt      TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    body_html    TEXT    NOT NULL,
    status       TEXT    NOT NULL
        CHECK (status IN ('draft', 'in_review', 'scheduled', 'published', 'archived')),
    author_id    BIGINT NOT NULL,
    author_name  TEXT    NOT NULL,
    category     TEXT,
    tags         TEXT    NOT NULL DEFAULT '[]',
    published_at BIGINT,
    updated_at   BIGINT NOT NULL,
    version      BIGINT NOT NULL
);
CREATE INDEX articles_published ON articles (published_at DESC, id DESC)
    WHERE status = 'published';
CREATE INDEX articles_published_in ON articles (category, published_at DESC, id DESC)
    WHERE status = 'published';

CREATE TABLE article_tags (
    tag        TEXT    NOT NULL,
    article_id BIGINT NOT NULL REFERENCES articles (id),
    PRIMARY KEY (tag, article_id)
);
