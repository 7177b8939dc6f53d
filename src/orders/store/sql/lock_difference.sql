-- Locks a difference, so that one mend of it begins or ends at a time. Called by store/differences.rs; no other lock is held.
SELECT * FROM shop.difference WHERE id = $1 FOR UPDATE
