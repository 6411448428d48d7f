-- +goose Up
ALTER TABLE tasks ADD COLUMN idempotency_key TEXT; -- by which a repeated upload is known; NULL for none

-- Nobody's upload is recorded twice, whoever records it at the same moment.
CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;

ALTER TABLE tasks ADD COLUMN expires INTEGER NOT NULL DEFAULT 0; -- when the row goes; 0: never

-- What is due to be removed: by a time of its own, and by how long ago it ended.
CREATE INDEX tasks_expires ON tasks (expires) WHERE expires > 0;
CREATE INDEX tasks_ended ON tasks (state, updated) WHERE state IN ('finished', 'failed', 'cancelled');

-- +goose Down
DROP INDEX tasks_ended;
DROP INDEX tasks_expires;
ALTER TABLE tasks DROP COLUMN expires;
DROP INDEX tasks_idempotency;
ALTER TABLE tasks DROP COLUMN idempotency_key;
