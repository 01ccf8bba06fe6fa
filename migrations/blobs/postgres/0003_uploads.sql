-- Uploads that nobody has adopted are looked for every minute.
CREATE INDEX blobs_uploads ON blobs (finished_at) WHERE key LIKE 'uploads/%';
