-- An image is kept once per owner, however many runs show it. One that only a staged restore shows is here already,
-- so that a commit copies no image; it counts for the quota from the commit on.
CREATE TABLE images (
    owner  TEXT NOT NULL,
    sha256 TEXT NOT NULL,                 -- of bytes, in hexadecimal
    size   INTEGER NOT NULL,              -- of bytes; read without touching them
    bytes  BLOB NOT NULL,
    PRIMARY KEY (owner, sha256)
) STRICT;

-- What a run holds, written once and never changed. It belongs to one run id of one owner, live or staged or both, so
-- that a commit copies no content: the triggers below remove it with the last row that names it.
CREATE TABLE contents (
    content_id INTEGER PRIMARY KEY,
    search     TEXT NOT NULL,             -- what q looks through, case-folded; before the payload's overflow pages
    payload    BLOB NOT NULL              -- JSON of the run; no source_image_data_url where image_sha256 is set
) STRICT;

CREATE TABLE runs (
    owner        TEXT NOT NULL,           -- user:<id> or guest:<id>
    run_id       TEXT NOT NULL,
    created      INTEGER,                 -- the run's created_at in microseconds since 1970 UTC; NULL: none readable
    arrived      INTEGER NOT NULL,        -- when this run id was first written, microseconds; kept when replaced
    instant      INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(created, arrived)) STORED,  -- the order of runs
    digest       TEXT NOT NULL,           -- SHA-256 of the canonical form of the whole run: its strong ETag
    status       TEXT,                    -- the run's own, where it is a string
    provider     TEXT,                    -- params.provider, where it is a string
    image_prefix TEXT,                    -- what stood before the base64 text: data:image/png;base64,
    image_sha256 TEXT,                    -- NULL: source_image_data_url, if there, is in the payload as it was
    size         INTEGER NOT NULL,        -- of the content's payload
    content_id   INTEGER NOT NULL,
    PRIMARY KEY (owner, run_id),
    FOREIGN KEY (owner, image_sha256) REFERENCES images (owner, sha256)
) STRICT;
CREATE INDEX runs_in_order ON runs (owner, instant, run_id);
CREATE INDEX runs_by_status ON runs (owner, status, instant, run_id);
CREATE INDEX runs_by_provider ON runs (owner, provider, instant, run_id);
CREATE INDEX runs_by_image ON runs (owner, image_sha256, run_id) WHERE image_sha256 IS NOT NULL;

-- How much each owner's runs take: their payloads, and each image that they show once. Kept by the triggers below.
CREATE TABLE usage (
    owner TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE restores (
    restore_id TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    mode       TEXT NOT NULL,             -- merge | replace
    state      TEXT NOT NULL,             -- staging | staged | committed | aborted
    answer     TEXT,                      -- JSON: what the gateway was told last
    changed_at TEXT NOT NULL              -- ISO 8601, UTC
) STRICT;

-- The runs of a restore that is not committed yet; columns as in runs. Their contents and images are in place already.
CREATE TABLE staged_runs (
    restore_id   TEXT NOT NULL,
    position     INTEGER NOT NULL,        -- its number in the upload
    pointer      TEXT NOT NULL,           -- where it stood in the document (JSON Pointer)
    owner        TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    created      INTEGER,
    arrived      INTEGER NOT NULL,
    digest       TEXT NOT NULL,
    status       TEXT,
    provider     TEXT,
    image_prefix TEXT,
    image_sha256 TEXT,
    size         INTEGER NOT NULL,
    content_id   INTEGER NOT NULL,
    PRIMARY KEY (restore_id, position),
    UNIQUE (run_id, restore_id),
    FOREIGN KEY (owner, image_sha256) REFERENCES images (owner, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX staged_runs_by_image ON staged_runs (owner, image_sha256, restore_id) WHERE image_sha256 IS NOT NULL;

CREATE TRIGGER run_added AFTER INSERT ON runs BEGIN
    INSERT INTO usage (owner, bytes)
    VALUES (NEW.owner, NEW.size + coalesce((
        SELECT size FROM images
        WHERE owner = NEW.owner AND sha256 = NEW.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs
            WHERE owner = NEW.owner AND image_sha256 = NEW.image_sha256 AND run_id <> NEW.run_id)), 0))
    ON CONFLICT (owner) DO UPDATE SET bytes = usage.bytes + excluded.bytes;
END;

CREATE TRIGGER run_replaced AFTER UPDATE OF content_id ON runs WHEN NEW.content_id <> OLD.content_id BEGIN
    UPDATE usage SET bytes = bytes + NEW.size - OLD.size WHERE owner = NEW.owner;
    DELETE FROM contents
    WHERE content_id = OLD.content_id
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE run_id = OLD.run_id AND content_id = OLD.content_id);
END;

CREATE TRIGGER run_image_replaced AFTER UPDATE OF image_sha256 ON runs
WHEN NEW.image_sha256 IS NOT OLD.image_sha256 BEGIN
    UPDATE usage SET bytes = bytes + coalesce((
        SELECT size FROM images
        WHERE owner = NEW.owner AND sha256 = NEW.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs
            WHERE owner = NEW.owner AND image_sha256 = NEW.image_sha256 AND run_id <> NEW.run_id)), 0)
    - coalesce((
        SELECT size FROM images
        WHERE owner = OLD.owner AND sha256 = OLD.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)), 0)
    WHERE owner = NEW.owner;
    DELETE FROM images
    WHERE owner = OLD.owner AND sha256 = OLD.image_sha256
        AND NOT EXISTS (SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256);
END;

CREATE TRIGGER run_deleted AFTER DELETE ON runs BEGIN
    UPDATE usage SET bytes = bytes - OLD.size - coalesce((
        SELECT size FROM images
        WHERE owner = OLD.owner AND sha256 = OLD.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)), 0)
    WHERE owner = OLD.owner;
    DELETE FROM contents
    WHERE content_id = OLD.content_id
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE run_id = OLD.run_id AND content_id = OLD.content_id);
    DELETE FROM images
    WHERE owner = OLD.owner AND sha256 = OLD.image_sha256
        AND NOT EXISTS (SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256);
END;

CREATE TRIGGER staged_run_deleted AFTER DELETE ON staged_runs BEGIN
    DELETE FROM contents
    WHERE content_id = OLD.content_id
        AND NOT EXISTS (
            SELECT 1 FROM runs WHERE owner = OLD.owner AND run_id = OLD.run_id AND content_id = OLD.content_id)
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE run_id = OLD.run_id AND content_id = OLD.content_id);
    DELETE FROM images
    WHERE owner = OLD.owner AND sha256 = OLD.image_sha256
        AND NOT EXISTS (SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)
        AND NOT EXISTS (SELECT 1 FROM staged_runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256);
END;
