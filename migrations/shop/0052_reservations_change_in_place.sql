-- serves: 41
-- A reservation changes once or twice, and each change wrote all its indexes anew, because the condition of one named the state.
-- That an order holds a line once is what the key says: a new round's number is one more than there are released ones.
-- Room in each page for the next version of a row.
DROP INDEX IF EXISTS shop.reservations_active;
ALTER TABLE shop.reservations SET (fillfactor = 50);
