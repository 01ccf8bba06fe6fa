-- Pictures of libraries are known by where they are from as well: what was removed here stays removed.
ALTER TABLE imported DROP CONSTRAINT imported_kind_check;
ALTER TABLE imported ADD CONSTRAINT imported_kind_check CHECK (kind IN ('person', 'article', 'picture'));
