-- Where the pieces of a blob are: in the `table` here, or in a `bucket` (S3), under the name of the upload.
ALTER TABLE blobs ADD COLUMN shelf TEXT NOT NULL DEFAULT 'table';
