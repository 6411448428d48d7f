-- +goose Up
ALTER TABLE tasks ADD COLUMN needs INTEGER NOT NULL DEFAULT 0; -- what a worker must be able to do, as bits

-- Claims that leave tasks to other workers look at needs, by the indexes alone.
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (created, id, needs) WHERE state = 'notStarted' AND not_before = 0;
DROP INDEX tasks_paused;
CREATE INDEX tasks_paused ON tasks (not_before, id, created, needs) WHERE state = 'notStarted' AND not_before > 0;

-- +goose Down
DROP INDEX tasks_paused;
DROP INDEX tasks_ready;
ALTER TABLE tasks DROP COLUMN needs;
CREATE INDEX tasks_ready ON tasks (created, id) WHERE state = 'notStarted' AND not_before = 0;
CREATE INDEX tasks_paused ON tasks (not_before, id, created) WHERE state = 'notStarted' AND not_before > 0;
