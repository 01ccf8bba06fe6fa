-- What published articles are found by: the tokens of their titles and texts, which the program makes itself. The
-- database tells them apart by the spaces between them, and folds nothing but ASCII, which is folded. `rowid` is the
-- article's id.
CREATE VIRTUAL TABLE article_search USING fts5(
    title, body, content = '', contentless_delete = 1, tokenize = 'ascii'
);

-- How far the articles that were there before are indexed, by the rules of which version; of articles that change, facts
-- tell. One row.
CREATE TABLE search_progress (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    done_to INTEGER NOT NULL,
    is_done INTEGER NOT NULL CHECK (is_done IN (0, 1))
) STRICT;
INSERT INTO search_progress (one, version, done_to, is_done) VALUES (1, 0, 0, 0);
