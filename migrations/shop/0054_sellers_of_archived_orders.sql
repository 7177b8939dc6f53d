-- serves: 41
-- Who sold an archived order: its lines are in the history, and its last news may be told after that.
CREATE TABLE shop.order_seller (
    order_id  uuid NOT NULL,
    seller_id text NOT NULL,
    email     text NOT NULL,
    PRIMARY KEY (order_id, seller_id, email)
);
