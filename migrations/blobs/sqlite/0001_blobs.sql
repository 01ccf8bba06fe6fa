-- What lies in a bucket (S3), under the name of its `upload`. What is written again under a key that there is has
-- another `upload`, and is the blob of that key once it is whole (`finished_at`). What is `withdrawn` never is.
CREATE TABLE blobs (
    upload      TEXT    NOT NULL PRIMARY KEY,
    key         TEXT    NOT NULL,
    bytes       INTEGER,
    sha256      BLOB,
    begun_at    INTEGER NOT NULL,
    finished_at INTEGER,
    withdrawn   INTEGER NOT NULL DEFAULT 0,
    shelf       TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX blobs_by_key ON blobs (key) WHERE finished_at IS NOT NULL;
CREATE INDEX blobs_uploads_by_key ON blobs (key);
CREATE INDEX blobs_unfinished ON blobs (begun_at) WHERE finished_at IS NULL;
