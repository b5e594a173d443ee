-- with chassis/migrations/changes.sql

-- Not where a key is only wrapped anew: it is the same key then.
CREATE TRIGGER key_touched_by_adding AFTER INSERT ON api_keys BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
END;
CREATE TRIGGER key_touched_by_changing AFTER UPDATE OF ciphertext ON api_keys
WHEN NEW.ciphertext <> OLD.ciphertext BEGIN
    INSERT INTO touched (owner) VALUES (NEW.owner);
END;
CREATE TRIGGER key_touched_by_removing AFTER DELETE ON api_keys BEGIN
    INSERT INTO touched (owner) VALUES (OLD.owner);
END;
INSERT INTO touched (owner) SELECT DISTINCT owner FROM api_keys;

-- with chassis/migrations/requests.sql
