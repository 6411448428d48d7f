-- +goose Up
ALTER TABLE tasks
    ADD COLUMN lane  integer NOT NULL DEFAULT 0,                 -- 0: interactive, 1: batch
    ADD COLUMN owner text COLLATE "C" NOT NULL DEFAULT '',       -- whose turn it uses; '': nobody's
    ADD COLUMN turn  bigint  NOT NULL DEFAULT 0;                 -- its place in its lane; -1: scheduled, it has none yet

-- What a claim takes: of each lane the lowest turn, and of that the oldest. The index
-- tasks_ready stays: it has the oldest, for the statistics, and for processes of the
-- version before, which go on while this one starts.
CREATE INDEX tasks_lanes ON tasks (lane, turn, created, id) WHERE state = 'notStarted' AND not_before = 0;

-- Whose pause, and whose schedule, is over next.
DROP INDEX tasks_paused;
CREATE INDEX tasks_paused ON tasks (not_before, id) WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0;
CREATE INDEX tasks_scheduled ON tasks (not_before, id) WHERE state = 'notStarted' AND turn < 0;
DROP INDEX tasks_paused_age;
CREATE INDEX tasks_paused_age ON tasks (created) WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0;

-- The last turn that each owner has, and each owner's tasks by state.
CREATE INDEX tasks_turns ON tasks (lane, owner, turn) WHERE state = 'notStarted' AND owner <> '';
CREATE INDEX tasks_owned ON tasks (owner, state, id) WHERE owner <> '';

-- The highest turns that were claimed, by lane: the greatest of all rows.
ALTER TABLE counts
    ADD COLUMN served       bigint NOT NULL DEFAULT 0,
    ADD COLUMN served_batch bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE counts DROP COLUMN served_batch, DROP COLUMN served;
DROP INDEX tasks_owned;
DROP INDEX tasks_turns;
DROP INDEX tasks_paused_age;
DROP INDEX tasks_scheduled;
DROP INDEX tasks_paused;
DROP INDEX tasks_lanes;
ALTER TABLE tasks DROP COLUMN turn, DROP COLUMN owner, DROP COLUMN lane;
CREATE INDEX tasks_paused ON tasks (not_before, id, created) WHERE state = 'notStarted' AND not_before > 0;
CREATE INDEX tasks_paused_age ON tasks (created) WHERE state = 'notStarted' AND not_before > 0;
