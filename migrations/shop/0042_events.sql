-- serves: 41
-- Where the shop's statements write events: the engine's table, under a name that they know, as of the clock. Postgres replaces
-- the view by the table.
CREATE VIEW shop.event AS SELECT id, type, subject, dataschema, data FROM {schema}.event;

-- A UUIDv7 for events that a statement finds out by itself.
CREATE FUNCTION shop.new_event_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid
$$;
