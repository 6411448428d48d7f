-- +goose Up
-- Which workers let a lease run out, and when, for all taskdb processes; kept for
-- ten minutes. Losing it costs a lease, never a task.
CREATE TABLE silences (
    worker text COLLATE "C" NOT NULL PRIMARY KEY,
    at     bigint NOT NULL
);

-- +goose Down
DROP TABLE silences;
