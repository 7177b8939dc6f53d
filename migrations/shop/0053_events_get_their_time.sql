-- serves: 41
-- The time of an event, for statements to read the clock once and not for each event: as a default it is a call for each row.
CREATE OR REPLACE VIEW shop.event AS SELECT id, type, subject, dataschema, data, at FROM {schema}.event;
