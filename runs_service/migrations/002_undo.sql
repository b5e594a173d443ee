-- What a restore replaced can be taken back until the owner's next restore. While it can (kept = 1), every write to a
-- run drops what is kept of that run: nothing could bring it back any more.
ALTER TABLE restores ADD COLUMN parts TEXT NOT NULL DEFAULT '[]';      -- JSON: the parts that the document carries
ALTER TABLE restores ADD COLUMN undoes TEXT;                           -- of an undo: the restore that it takes back
ALTER TABLE restores ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;       -- 1: what it replaced is kept, for an undo
CREATE INDEX kept_restores ON restores (owner) WHERE kept = 1;

-- Each run that a restore added, changed or removed, as it was before; columns as in runs, all NULL where it was not
-- there. Shown nowhere, in no backup, and not counted for the quota.
CREATE TABLE undo_runs (
    owner        TEXT NOT NULL,
    run_id       TEXT NOT NULL,
    restore_id   TEXT NOT NULL,
    created      INTEGER,
    arrived      INTEGER,
    digest       TEXT,
    status       TEXT,
    provider     TEXT,
    image_prefix TEXT,
    image_sha256 TEXT,
    size         INTEGER,
    content_id   INTEGER,
    PRIMARY KEY (owner, run_id, restore_id),
    FOREIGN KEY (owner, image_sha256) REFERENCES images (owner, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX undo_runs_by_image ON undo_runs (owner, image_sha256, restore_id) WHERE image_sha256 IS NOT NULL;

-- Who needs a content or an image: the triggers below remove either with the last row here that names it.
CREATE VIEW held AS
    SELECT owner, run_id, content_id, image_sha256 FROM runs
    UNION ALL SELECT owner, run_id, content_id, image_sha256 FROM staged_runs
    UNION ALL SELECT owner, run_id, content_id, image_sha256 FROM undo_runs;

DROP TRIGGER run_added;
DROP TRIGGER run_replaced;
DROP TRIGGER run_image_replaced;
DROP TRIGGER run_deleted;
DROP TRIGGER staged_run_deleted;

-- One trigger an event, since the order of several is not defined: usage is counted while the images are still there.
CREATE TRIGGER run_added AFTER INSERT ON runs BEGIN
    INSERT INTO usage (owner, bytes)
    VALUES (NEW.owner, NEW.size + coalesce((
        SELECT size FROM images
        WHERE owner = NEW.owner AND sha256 = NEW.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs
            WHERE owner = NEW.owner AND image_sha256 = NEW.image_sha256 AND run_id <> NEW.run_id)), 0))
    ON CONFLICT (owner) DO UPDATE SET bytes = usage.bytes + excluded.bytes;
    DELETE FROM undo_runs
    WHERE owner = NEW.owner AND run_id = NEW.run_id
        AND restore_id IN (SELECT restore_id FROM restores WHERE owner = NEW.owner AND kept = 1);
END;

-- A content never changes: whoever writes a run, or its image, gives it another.
CREATE TRIGGER run_replaced AFTER UPDATE OF content_id ON runs WHEN NEW.content_id <> OLD.content_id BEGIN
    UPDATE usage SET bytes = bytes + NEW.size - OLD.size WHERE owner = NEW.owner;
    UPDATE usage SET bytes = bytes + coalesce((
        SELECT size FROM images
        WHERE owner = NEW.owner AND sha256 = NEW.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs
            WHERE owner = NEW.owner AND image_sha256 = NEW.image_sha256 AND run_id <> NEW.run_id)), 0)
    - coalesce((
        SELECT size FROM images
        WHERE owner = OLD.owner AND sha256 = OLD.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)), 0)
    WHERE owner = NEW.owner AND NEW.image_sha256 IS NOT OLD.image_sha256;
    DELETE FROM undo_runs
    WHERE owner = OLD.owner AND run_id = OLD.run_id
        AND restore_id IN (SELECT restore_id FROM restores WHERE owner = OLD.owner AND kept = 1);
    DELETE FROM contents
    WHERE content_id = OLD.content_id AND NOT EXISTS (
        SELECT 1 FROM held WHERE owner = OLD.owner AND run_id = OLD.run_id AND content_id = OLD.content_id);
    DELETE FROM images
    WHERE owner = OLD.owner AND sha256 = OLD.image_sha256 AND NOT EXISTS (
        SELECT 1 FROM held WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256);
END;

CREATE TRIGGER run_deleted AFTER DELETE ON runs BEGIN
    UPDATE usage SET bytes = bytes - OLD.size - coalesce((
        SELECT size FROM images
        WHERE owner = OLD.owner AND sha256 = OLD.image_sha256 AND NOT EXISTS (
            SELECT 1 FROM runs WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256)), 0)
    WHERE owner = OLD.owner;
    DELETE FROM undo_runs
    WHERE owner = OLD.owner AND run_id = OLD.run_id
        AND restore_id IN (SELECT restore_id FROM restores WHERE owner = OLD.owner AND kept = 1);
    DELETE FROM contents
    WHERE content_id = OLD.content_id AND NOT EXISTS (
        SELECT 1 FROM held WHERE owner = OLD.owner AND run_id = OLD.run_id AND content_id = OLD.content_id);
    DELETE FROM images
    WHERE owner = OLD.owner AND sha256 = OLD.image_sha256 AND NOT EXISTS (
        SELECT 1 FROM held WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256);
END;

-- The conditions stand in WHEN, so that the contents, by far the largest table, are not even looked at after a commit.
CREATE TRIGGER staged_content_dropped AFTER DELETE ON staged_runs
WHEN NOT EXISTS (
    SELECT 1 FROM held WHERE owner = OLD.owner AND run_id = OLD.run_id AND content_id = OLD.content_id) BEGIN
    DELETE FROM contents WHERE content_id = OLD.content_id;
END;

CREATE TRIGGER staged_image_dropped AFTER DELETE ON staged_runs
WHEN OLD.image_sha256 IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM held WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256) BEGIN
    DELETE FROM images WHERE owner = OLD.owner AND sha256 = OLD.image_sha256;
END;

CREATE TRIGGER undo_content_dropped AFTER DELETE ON undo_runs
WHEN OLD.content_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM held WHERE owner = OLD.owner AND run_id = OLD.run_id AND content_id = OLD.content_id) BEGIN
    DELETE FROM contents WHERE content_id = OLD.content_id;
END;

CREATE TRIGGER undo_image_dropped AFTER DELETE ON undo_runs
WHEN OLD.image_sha256 IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM held WHERE owner = OLD.owner AND image_sha256 = OLD.image_sha256) BEGIN
    DELETE FROM images WHERE owner = OLD.owner AND sha256 = OLD.image_sha256;
END;
