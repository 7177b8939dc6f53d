-- One word for runs that are failing, stuck or compensating (paused and abandoned ones too): unhealthy.
ALTER TABLE {schema}.exceptional RENAME TO unhealthy;
ALTER INDEX {schema}.exceptional_pkey RENAME TO unhealthy_pkey;
ALTER INDEX {schema}.exceptional_status RENAME TO unhealthy_status;
ALTER INDEX {schema}.exceptional_code RENAME TO unhealthy_code;
ALTER INDEX {schema}.exceptional_step RENAME TO unhealthy_step;
