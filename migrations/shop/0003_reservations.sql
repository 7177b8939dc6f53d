-- Stock that an order has taken is a reservation; a hold is what operators do.
ALTER TABLE shop.holds RENAME TO reservations;
ALTER INDEX shop.holds_pkey RENAME TO reservations_pkey;
ALTER INDEX shop.holds_active RENAME TO reservations_active;
ALTER TABLE shop.reservations RENAME CONSTRAINT holds_order_id_fkey TO reservations_order_id_fkey;
ALTER TABLE shop.reservations RENAME CONSTRAINT holds_sku_fkey TO reservations_sku_fkey;
ALTER TABLE shop.reservations RENAME CONSTRAINT holds_quantity_check TO reservations_quantity_check;
ALTER TABLE shop.reservations RENAME CONSTRAINT holds_state_check TO reservations_state_check;
