-- Pictures that people sent, and what was made of them.

-- What was made of one file: `coming` while it is made, `kept` once it is whole, `going` until its files are removed.
-- Its files lie in the blob store below `media/<id>`, and are found by the content of the first of them.
CREATE TABLE assets (
    id          BIGINT  NOT NULL PRIMARY KEY,
    state       TEXT    NOT NULL CHECK (state IN ('coming', 'kept', 'going')),
    sha256      TEXT,
    kind        TEXT,
    width       BIGINT  NOT NULL DEFAULT 0,
    height      BIGINT  NOT NULL DEFAULT 0,
    frames      BIGINT  NOT NULL DEFAULT 1,
    -- All files together.
    bytes       BIGINT  NOT NULL DEFAULT 0,
    color       TEXT    NOT NULL DEFAULT '',
    -- A list of {size, kind, width, height, bytes, sha256}.
    files       TEXT    NOT NULL DEFAULT '[]',
    -- When it came into its state.
    since       BIGINT  NOT NULL,
    -- Since when nobody has it, if nobody has.
    orphaned_at BIGINT
);
CREATE UNIQUE INDEX assets_kept ON assets (sha256) WHERE state = 'kept';
CREATE INDEX assets_not_kept ON assets (state, since) WHERE state <> 'kept';
CREATE INDEX assets_orphaned ON assets (orphaned_at) WHERE orphaned_at IS NOT NULL;

-- The files as they were sent, by their SHA-256, and what was made of them.
CREATE TABLE asset_sources (
    source   TEXT    NOT NULL PRIMARY KEY,
    asset_id BIGINT  NOT NULL
);
CREATE INDEX asset_sources_of ON asset_sources (asset_id);

-- What somebody has in their library.
CREATE TABLE media (
    id         BIGINT  NOT NULL PRIMARY KEY,
    asset_id   BIGINT  NOT NULL REFERENCES assets (id),
    owner_id   BIGINT  NOT NULL,
    owner_name TEXT    NOT NULL,
    -- What its sender called the file.
    name       TEXT    NOT NULL,
    -- What it shows, for who does not see it. Null: nobody has said.
    alt        TEXT,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    version    BIGINT  NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX media_of_owner ON media (owner_id, asset_id);
CREATE INDEX media_by_owner ON media (owner_id, id);
CREATE INDEX media_by_asset ON media (asset_id);
CREATE INDEX media_without_alt ON media (id) WHERE alt IS NULL;

-- What each has, in bytes of all files.
CREATE TABLE media_usage (
    owner_id BIGINT  NOT NULL PRIMARY KEY,
    bytes    BIGINT  NOT NULL CHECK (bytes >= 0),
    files    BIGINT  NOT NULL CHECK (files >= 0)
);

-- Pictures that articles show, as they are now.
CREATE TABLE article_media (
    sha256     TEXT    NOT NULL,
    article_id BIGINT  NOT NULL,
    PRIMARY KEY (sha256, article_id)
);
CREATE INDEX article_media_of ON article_media (article_id);
