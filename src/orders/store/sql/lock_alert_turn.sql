-- Locks what is decided of alerts: processes that look at the same time decide one after the other, each on what the one before
-- has written. Called by store/alerts.rs.
SELECT decided_at FROM shop.alert_turn FOR UPDATE
