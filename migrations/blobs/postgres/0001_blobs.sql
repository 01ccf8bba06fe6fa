-- Content that is too large for a row or a message, in pieces. What is written again under a key that
-- there is has another `upload`, and is the blob of that key once it is whole (`finished_at`). What is
-- `withdrawn` never is.
CREATE TABLE blobs (
    upload      TEXT   NOT NULL PRIMARY KEY,
    key         TEXT   NOT NULL,
    bytes       BIGINT,
    sha256      BYTEA,
    begun_at    BIGINT NOT NULL,
    finished_at BIGINT,
    withdrawn   BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX blobs_by_key ON blobs (key) WHERE finished_at IS NOT NULL;
CREATE INDEX blobs_uploads_by_key ON blobs (key);
CREATE INDEX blobs_unfinished ON blobs (begun_at) WHERE finished_at IS NULL;

CREATE TABLE pieces (
    upload TEXT   NOT NULL REFERENCES blobs (upload),
    number BIGINT NOT NULL,
    data   BYTEA  NOT NULL,
    PRIMARY KEY (upload, number)
);
-- What is kept here is compressed already, mostly.
ALTER TABLE pieces ALTER COLUMN data SET STORAGE EXTERNAL;
