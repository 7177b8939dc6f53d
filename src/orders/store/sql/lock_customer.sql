-- Two orders of a customer that are placed at once must not both be the last that is allowed. A lock of its own, because there
-- is no row for a customer; a statement of its own, because the count has to be taken after the lock.
SELECT pg_advisory_xact_lock(hashtextextended('backstitch customer ' || $1, 0))
