-- What somebody wrote, page by page.
CREATE INDEX articles_by_author_and_id ON articles (author_id, id);
DROP INDEX articles_by_author;
