-- Whether the author's account was erased: then nobody has a name any more.
ALTER TABLE authors ADD COLUMN erased BIGINT NOT NULL DEFAULT 0;
