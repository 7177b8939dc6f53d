-- serves: 54
-- What a process tells of its workflows and activities, for servers that have not got their code: by it they check inputs and
-- outputs, give a run its deadline, and offer to hold an activity. Workers of the version before tell nothing, and go on.
ALTER TABLE {schema}.workflow
    ADD COLUMN IF NOT EXISTS input json,
    ADD COLUMN IF NOT EXISTS output json,
    ADD COLUMN IF NOT EXISTS deadline_ms bigint;
-- Every activity that a worker has ever registered, as the last one did. `policy`: what people see of its rules.
CREATE TABLE IF NOT EXISTS {schema}.activity (
    name          text PRIMARY KEY,
    undoable      boolean NOT NULL,
    verifiable    boolean NOT NULL,
    transactional boolean NOT NULL,
    queue         text,
    policy        json NOT NULL,
    input         json,
    output        json
);
