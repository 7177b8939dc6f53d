-- Locks the runs of steps that commit in their own transaction. A part of flush.sql, which says why.
FOR SHARE OF q
