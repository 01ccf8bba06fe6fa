-- Threads in which articles are discussed. The comments on an article are the posts after number `after`: all but the
-- opening one, and where the thread was merged into another, those that came with it, and what was written since.
-- `title` is what the article gave the thread for its title; `withdrawn_at`, when the thread was deleted because the
-- article is not public any more.
CREATE TABLE discussions (
    article_id   BIGINT NOT NULL PRIMARY KEY,
    thread_id    BIGINT NOT NULL REFERENCES threads (id),
    opening_id   BIGINT NOT NULL REFERENCES posts (id),
    after        BIGINT NOT NULL DEFAULT 1 CHECK (after >= 1),
    title        TEXT    NOT NULL,
    withdrawn_at BIGINT
);
CREATE INDEX discussions_by_thread ON discussions (thread_id);
