-- What posts are found by: the tokens of their texts, which the forum makes itself (src/rules/tokens.rs);
-- of opening posts those of the thread's title, too, with weight A. No dictionary and no parser of the
-- database has a say in them.
CREATE TABLE post_search (
    post_id BIGINT   NOT NULL PRIMARY KEY,
    tokens  TSVECTOR NOT NULL
);
CREATE INDEX post_search_by_token ON post_search USING GIN (tokens);

-- How far the posts that were there before are indexed, by the rules of which version; of posts that
-- change, facts tell. One row.
CREATE TABLE search_progress (
    one     BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL,
    done_to BIGINT NOT NULL,
    is_done BIGINT NOT NULL CHECK (is_done IN (0, 1))
);
INSERT INTO search_progress (one, version, done_to, is_done) VALUES (1, 0, 0, 0);
