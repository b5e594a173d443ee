ALTER TABLE operations ADD COLUMN target TEXT;                   -- of an adoption: the user who takes over what `owner` has
ALTER TABLE operations ADD COLUMN repeats TEXT;                  -- the id of the operation that this does once more, later
CREATE INDEX adoptions ON operations (target) WHERE target IS NOT NULL;
