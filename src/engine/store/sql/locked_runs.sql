-- Which of these runs ($1) somebody else has locked just now. Called by store/flush, when a flush had to wait for a lock for
-- too long: it holds the lane's row meanwhile, so it must not be sent again with them.
-- SKIP LOCKED tells without waiting; the locks that it takes itself end with this statement.
WITH free AS MATERIALIZED (
    SELECT id FROM {schema}.run WHERE id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED
)
SELECT r.id FROM {schema}.run r WHERE r.id = ANY ($1) AND r.id <> ALL (ARRAY(SELECT id FROM free))
