-- with chassis/migrations/changes.sql

-- Not where a session was only seen.
CREATE TRIGGER session_touched_by_beginning AFTER INSERT ON sessions BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
END;
CREATE TRIGGER session_touched_by_ending AFTER UPDATE OF ended_at ON sessions
WHEN NEW.ended_at IS NOT OLD.ended_at BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
END;
CREATE TRIGGER session_touched_by_removing AFTER DELETE ON sessions BEGIN
    INSERT INTO touched (owner) VALUES (OLD.owner);
END;
INSERT INTO touched (owner) SELECT DISTINCT owner FROM sessions;
