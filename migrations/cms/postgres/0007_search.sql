-- What published articles are found by: the tokens of their titles, with weight A, and texts, which the program makes
-- itself. No dictionary and no parser of the database has a say in them.
CREATE TABLE article_search (
    article_id BIGINT   NOT NULL PRIMARY KEY,
    tokens     TSVECTOR NOT NULL
);
CREATE INDEX article_search_by_token ON article_search USING GIN (tokens);

-- How far the articles that were there before are indexed, by the rules of which version; of articles that change, facts
-- tell. One row.
CREATE TABLE search_progress (
    one     BIGINT  NOT NULL PRIMARY KEY CHECK (one = 1),
    version BIGINT  NOT NULL,
    done_to BIGINT  NOT NULL,
    is_done BIGINT  NOT NULL CHECK (is_done IN (0, 1))
);
INSERT INTO search_progress (one, version, done_to, is_done) VALUES (1, 0, 0, 0);
