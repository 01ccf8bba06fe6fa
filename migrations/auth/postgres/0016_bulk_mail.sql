-- Mails that nobody waits for go after those that somebody does.
ALTER TABLE mails ADD COLUMN bulk BIGINT NOT NULL DEFAULT 0;
DROP INDEX mails_due;
CREATE INDEX mails_due ON mails (bulk, next_at) WHERE failed_at IS NULL;
