-- serves: 41
-- An order changes three times or more, and each change wrote all indexes of its row anew, because one had columns that change.
-- What is to be archived is found by when it was made, which does not change. Room in each page for the next version of a row.
CREATE INDEX IF NOT EXISTS orders_live ON shop.orders (created_at) WHERE archived_at IS NULL;
DROP INDEX IF EXISTS shop.orders_to_archive;
ALTER TABLE shop.orders SET (fillfactor = 60);
