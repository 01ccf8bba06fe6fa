CREATE INDEX articles_by_author ON articles (author_id);
