-- What somebody wrote, for themselves.
CREATE INDEX threads_by_author ON threads (author_id, id);
CREATE INDEX posts_by_author ON posts (author_id, id);
