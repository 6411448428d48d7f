-- +goose Up
ALTER TABLE tasks ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;   -- 0: interactive, 1: batch
ALTER TABLE tasks ADD COLUMN owner TEXT NOT NULL DEFAULT '';    -- whose turn it uses; '': nobody's
ALTER TABLE tasks ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;   -- its place in its lane; -1: scheduled, it has none yet

-- What a claim takes: of each lane the lowest turn, and of that the oldest. Claims
-- that leave tasks to other workers look at needs, by the index alone.
DROP INDEX tasks_ready;
CREATE INDEX tasks_ready ON tasks (lane, turn, created, id, needs) WHERE state = 'notStarted' AND not_before = 0;

-- Whose pause, and whose schedule, is over next.
DROP INDEX tasks_paused;
CREATE INDEX tasks_paused ON tasks (not_before, id) WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0;
CREATE INDEX tasks_scheduled ON tasks (not_before, id) WHERE state = 'notStarted' AND turn < 0;

-- The oldest of those that wait for a worker or the end of a pause, for the statistics.
DROP INDEX tasks_paused_age;
CREATE INDEX tasks_age ON tasks (created) WHERE state = 'notStarted' AND turn >= 0;

-- The last turn that each owner has, and each owner's tasks by state.
CREATE INDEX tasks_turns ON tasks (lane, owner, turn) WHERE state = 'notStarted' AND owner <> '';
CREATE INDEX tasks_owned ON tasks (owner, state, id) WHERE owner <> '';

-- The highest turn that was claimed, by lane.
CREATE TABLE turns (
    lane   INTEGER NOT NULL PRIMARY KEY,
    served INTEGER NOT NULL
);

INSERT INTO turns (lane, served) VALUES (0, 0), (1, 0);

-- +goose Down
DROP TABLE turns;
DROP INDEX tasks_owned;
DROP INDEX tasks_turns;
DROP INDEX tasks_age;
DROP INDEX tasks_scheduled;
DROP INDEX tasks_paused;
DROP INDEX tasks_ready;
ALTER TABLE tasks DROP COLUMN turn;
ALTER TABLE tasks DROP COLUMN owner;
ALTER TABLE tasks DROP COLUMN lane;
CREATE INDEX tasks_ready ON tasks (created, id, needs) WHERE state = 'notStarted' AND not_before = 0;
CREATE INDEX tasks_paused ON tasks (not_before, id, created, needs) WHERE state = 'notStarted' AND not_before > 0;
CREATE INDEX tasks_paused_age ON tasks (created) WHERE state = 'notStarted' AND not_before > 0;
