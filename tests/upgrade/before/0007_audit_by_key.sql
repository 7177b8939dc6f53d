-- The audit of a key, whatever its clients say of themselves: `key:night-shift` also finds `key:night-shift (cli:anna)`.
-- The index on the whole actor stays, for who asks for just one of these.
CREATE INDEX IF NOT EXISTS audit_key ON backstitch.audit (split_part(actor, ' (', 1), id);
