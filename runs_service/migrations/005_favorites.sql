-- The contents of which a variant is a favourite: what the JSON says, and exactly `true`. By themselves, so that what
-- goes live, all of a large restore at once, is not read again. The triggers below keep them, whichever release writes.
CREATE TABLE favorite_contents (
    content_id INTEGER PRIMARY KEY
) STRICT;

-- The rule, for what is there now and what is to come.
CREATE VIEW favored AS
    SELECT content_id FROM contents
    WHERE EXISTS (
        SELECT 1 FROM json_each(CAST(payload AS TEXT), '$.variants') AS variant
        WHERE CASE variant.type WHEN 'object' THEN json_type(variant.value, '$.favorite') = 'true' END);

ALTER TABLE runs ADD COLUMN favorite INTEGER NOT NULL DEFAULT 0; -- 1: a variant is; given by the triggers below alone

INSERT INTO favorite_contents (content_id) SELECT content_id FROM favored;
UPDATE runs SET favorite = 1 WHERE content_id IN (SELECT content_id FROM favorite_contents);
CREATE INDEX runs_by_favorite ON runs (owner, favorite, instant, run_id);

CREATE TRIGGER content_kept AFTER INSERT ON contents BEGIN
    INSERT INTO favorite_contents (content_id) SELECT content_id FROM favored WHERE content_id = NEW.content_id;
END;
CREATE TRIGGER content_dropped AFTER DELETE ON contents BEGIN
    DELETE FROM favorite_contents WHERE content_id = OLD.content_id;
END;

-- A content is there before a run names it, and never changes. A row that says otherwise is turned round.
CREATE TRIGGER run_made_favorite AFTER INSERT ON runs
WHEN NEW.favorite <> EXISTS (SELECT 1 FROM favorite_contents WHERE content_id = NEW.content_id) BEGIN
    UPDATE runs SET favorite = 1 - NEW.favorite WHERE rowid = NEW.rowid;
END;
CREATE TRIGGER run_replaced_favorite AFTER UPDATE OF content_id ON runs
WHEN NEW.favorite <> EXISTS (SELECT 1 FROM favorite_contents WHERE content_id = NEW.content_id) BEGIN
    UPDATE runs SET favorite = 1 - NEW.favorite WHERE rowid = NEW.rowid;
END;
