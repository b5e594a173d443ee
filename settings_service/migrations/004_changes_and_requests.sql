-- with chassis/migrations/changes.sql

CREATE TRIGGER profile_touched_by_making AFTER INSERT ON profiles BEGIN
    INSERT INTO touched (owner, version) VALUES (NEW.owner, NEW.version);
END;
CREATE TRIGGER profile_touched_by_saving AFTER UPDATE OF version ON profiles BEGIN
    INSERT INTO touched (owner, version) VALUES (NEW.owner, NEW.version);
END;
INSERT INTO touched (owner, version) SELECT owner, version FROM profiles;

-- with chassis/migrations/requests.sql
