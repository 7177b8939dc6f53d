-- serves: 54
-- The fence of a step's own transaction is shared (FOR KEY SHARE), and what declares a lane dead takes the row FOR UPDATE. A worker
-- of an older release takes over with a weaker lock, which does not wait for such a transaction: so none may live beside it.
COMMENT ON TABLE {schema}.lane IS 'Steps hold a row FOR KEY SHARE; declare it dead only FOR UPDATE.';
