-- The fence of the transactions of a lane's steps. A part of flush.sql. Shared: it excludes only what declares the lane dead,
-- which locks the row FOR UPDATE. One that has waited for that finds it dead and writes nothing. It is no heartbeat: the lane's
-- own connection has to prove itself.
MATERIALIZED (
    SELECT id, {schema}.now() AS now, beat FROM {schema}.lane WHERE id = $1 AND token = $26 AND alive FOR KEY SHARE
)
