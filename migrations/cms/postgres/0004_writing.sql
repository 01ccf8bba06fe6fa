-- Writing: who wrote what when, what is planned, terms, revisions, texts that are not saved yet.

-- A post of the blog, or a page that stands by itself.
ALTER TABLE articles ADD COLUMN kind TEXT NOT NULL DEFAULT 'post' CHECK (kind IN ('post', 'page'));
ALTER TABLE articles ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
-- Who wrote the text as it is, and when.
ALTER TABLE articles ADD COLUMN edited_by BIGINT;
ALTER TABLE articles ADD COLUMN edited_by_name TEXT NOT NULL DEFAULT '';
ALTER TABLE articles ADD COLUMN edited_at BIGINT NOT NULL DEFAULT 0;
-- 1: the excerpt was written, 0: it is the beginning of the text.
ALTER TABLE articles ADD COLUMN own_excerpt BIGINT NOT NULL DEFAULT 0 CHECK (own_excerpt IN (0, 1));
ALTER TABLE articles ADD COLUMN cover TEXT;
ALTER TABLE articles ADD COLUMN seo_title TEXT;
ALTER TABLE articles ADD COLUMN seo_description TEXT;
ALTER TABLE articles ADD COLUMN seo_canonical TEXT;
ALTER TABLE articles ADD COLUMN noindex BIGINT NOT NULL DEFAULT 0 CHECK (noindex IN (0, 1));
-- When it is to be published, of those that are scheduled, or whose author wishes it.
ALTER TABLE articles ADD COLUMN publish_at BIGINT;
-- What whoever gave it back said to its author.
ALTER TABLE articles ADD COLUMN review_note TEXT;
-- Links to previews of an earlier epoch lead nowhere.
ALTER TABLE articles ADD COLUMN preview_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE articles ADD COLUMN deleted_at BIGINT;

DROP INDEX articles_published;
DROP INDEX articles_published_in;
DROP INDEX articles_by_author_and_id;
CREATE INDEX articles_published ON articles (kind, published_at DESC, id DESC)
    WHERE status = 'published' AND deleted_at IS NULL;
CREATE INDEX articles_published_in ON articles (kind, category, published_at DESC, id DESC)
    WHERE status = 'published' AND deleted_at IS NULL;
CREATE INDEX articles_by_author_published ON articles (kind, author_id, published_at DESC, id DESC)
    WHERE status = 'published' AND deleted_at IS NULL;
-- What editors look through.
CREATE INDEX articles_by_change ON articles (kind, updated_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX articles_by_status ON articles (kind, status, updated_at DESC, id DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX articles_of_author ON articles (author_id, kind, updated_at DESC, id DESC)
    WHERE deleted_at IS NULL;
-- What somebody wrote, page by page, and what follows a renaming.
CREATE INDEX articles_by_author ON articles (author_id, id);
CREATE INDEX articles_by_editor ON articles (edited_by, id) WHERE edited_by IS NOT NULL;
CREATE INDEX articles_due ON articles (publish_at, id) WHERE status = 'scheduled' AND deleted_at IS NULL;
CREATE INDEX articles_in_trash ON articles (deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX articles_in_category ON articles (category) WHERE category IS NOT NULL;

-- Only while it is published.
ALTER TABLE article_tags ADD COLUMN published_at BIGINT;
CREATE INDEX article_tags_published ON article_tags (tag, published_at DESC, article_id DESC)
    WHERE published_at IS NOT NULL;
CREATE INDEX article_tags_of ON article_tags (article_id);

-- Addresses that articles had which somebody may know, also of such as are gone for good.
CREATE TABLE article_slugs (
    slug       TEXT NOT NULL PRIMARY KEY,
    article_id BIGINT NOT NULL
);

-- Categories and tags. The slug is what articles name, and stays; the count is of published posts.
CREATE TABLE terms (
    kind          TEXT    NOT NULL CHECK (kind IN ('category', 'tag')),
    slug          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    description   TEXT    NOT NULL DEFAULT '',
    position      BIGINT  NOT NULL DEFAULT 0,
    article_count BIGINT  NOT NULL DEFAULT 0 CHECK (article_count >= 0),
    created_at    BIGINT  NOT NULL,
    version       BIGINT  NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, slug)
);
CREATE INDEX terms_in_order ON terms (kind, position, slug);

-- Texts as they were, before somebody changed them.
CREATE TABLE article_revisions (
    id          BIGINT NOT NULL PRIMARY KEY,
    article_id  BIGINT NOT NULL REFERENCES articles (id),
    number      BIGINT NOT NULL,
    title       TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    editor_id   BIGINT NOT NULL,
    editor_name TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (article_id, number)
);
CREATE INDEX article_revisions_by_editor ON article_revisions (editor_id, id);

-- What somebody has written into an article and not saved.
CREATE TABLE autosaves (
    id         BIGINT NOT NULL PRIMARY KEY,
    article_id BIGINT NOT NULL REFERENCES articles (id),
    editor_id  BIGINT NOT NULL,
    title      TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    -- The version of the article that they began with.
    version    BIGINT NOT NULL,
    saved_at   BIGINT NOT NULL,
    UNIQUE (article_id, editor_id)
);
CREATE INDEX autosaves_by_editor ON autosaves (editor_id, id);

-- Addresses of another site, or of earlier times, and where they lead.
CREATE TABLE redirects (
    id         BIGINT NOT NULL PRIMARY KEY,
    source     TEXT   NOT NULL UNIQUE,
    target     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Of what was there before.
UPDATE articles SET created_at = COALESCE(published_at, updated_at), edited_at = updated_at;
UPDATE articles SET own_excerpt = 1 WHERE excerpt <> '';
UPDATE article_tags SET published_at =
    (SELECT a.published_at FROM articles a WHERE a.id = article_tags.article_id AND a.status = 'published');
INSERT INTO terms (kind, slug, name, created_at, article_count)
    SELECT 'category', category, category, 0, sum(CASE WHEN status = 'published' THEN 1 ELSE 0 END)
    FROM articles WHERE category IS NOT NULL GROUP BY category;
INSERT INTO terms (kind, slug, name, created_at, article_count)
    SELECT 'tag', tag, tag, 0, count(published_at) FROM article_tags
    WHERE published_at IS NOT NULL GROUP BY tag;
