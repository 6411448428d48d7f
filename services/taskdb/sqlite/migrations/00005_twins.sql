-- +goose Up
ALTER TABLE tasks ADD COLUMN twin INTEGER; -- by which those are found that ask for the same; NULL for none

-- Of those that ask for the same, who was first at work, and who ended last.
CREATE INDEX tasks_twins ON tasks (twin, state, updated, id) WHERE twin IS NOT NULL;

-- +goose Down
DROP INDEX tasks_twins;
ALTER TABLE tasks DROP COLUMN twin;
