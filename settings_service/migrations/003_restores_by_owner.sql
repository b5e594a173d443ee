-- Erasing an owner looks for that owner's operations among all that are remembered. With `kept`, so that every write
-- that looks for what is kept of its owner still meets one row at most, however many operations the owner has had.
CREATE INDEX restores_by_owner ON restores (owner, kept);
