-- +goose Up
ALTER TABLE tasks ADD COLUMN idempotency_key text COLLATE "C"; -- by which a repeated upload is known; NULL for none

-- Nobody's upload is recorded twice, whoever records it at the same moment.
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;

ALTER TABLE tasks ADD COLUMN expires bigint NOT NULL DEFAULT 0; -- when the row goes; 0: never

-- What is due to be removed: by a time of its own, and by how long ago it ended.
CREATE INDEX tasks_expires ON tasks (expires) WHERE expires > 0;
CREATE INDEX tasks_ended ON tasks (state, updated) WHERE state IN ('finished', 'failed', 'cancelled');

-- Lists by state use the same index as ever. Its condition, which holds for every
-- row, keeps the planner from taking it where a task is looked up by ID alone, as it
-- did while the table was empty, and so for good.
DROP INDEX tasks_state;
CREATE INDEX tasks_state ON tasks (state, id) WHERE state IS NOT NULL;

-- +goose Down
DROP INDEX tasks_state;
CREATE INDEX tasks_state ON tasks (state, id);
DROP INDEX tasks_ended;
DROP INDEX tasks_expires;
ALTER TABLE tasks DROP COLUMN expires;
DROP INDEX tasks_idempotency;
ALTER TABLE tasks DROP COLUMN idempotency_key;
