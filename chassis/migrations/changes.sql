-- For whom something has changed, told to the owner's other devices. `version` rises with each write of the owner's;
-- `seq` orders the owners by their last write. Whoever is the last to write stays at that place.
CREATE TABLE changes (
    owner   TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL UNIQUE
) STRICT;

CREATE TABLE change_clock (                -- never goes back, also where the last of `changes` is erased
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seq      INTEGER NOT NULL
) STRICT;
INSERT INTO change_clock (only_row, seq) VALUES (1, 0);

-- What the triggers insert into: `version` NULL is one more than before.
CREATE VIEW touched AS SELECT owner, version FROM changes;
CREATE TRIGGER owner_touched INSTEAD OF INSERT ON touched BEGIN
    INSERT INTO changes (owner, version, seq) VALUES (NEW.owner, 0, -1) ON CONFLICT DO NOTHING;
    UPDATE change_clock SET seq = seq + 1 WHERE seq > (SELECT seq FROM changes WHERE owner = NEW.owner);
    UPDATE changes SET version = coalesce(NEW.version, version + 1), seq = (SELECT seq FROM change_clock)
    WHERE owner = NEW.owner;
END;
