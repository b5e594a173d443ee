-- with chassis/migrations/changes.sql

-- Each step of a restore and of an undo.
CREATE TRIGGER operation_touched_by_beginning AFTER INSERT ON operations WHEN NEW.kind IN ('restore', 'undo') BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
END;
CREATE TRIGGER operation_touched_by_moving AFTER UPDATE OF stage ON operations
WHEN NEW.stage <> OLD.stage AND NEW.kind IN ('restore', 'undo') BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
END;
INSERT INTO touched (owner) SELECT DISTINCT owner FROM operations WHERE kind IN ('restore', 'undo');
