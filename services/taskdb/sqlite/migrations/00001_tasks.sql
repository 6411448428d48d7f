-- +goose Up
CREATE TABLE tasks (
    id           TEXT    NOT NULL PRIMARY KEY, -- UUIDv7, lower case
    state        TEXT    NOT NULL CHECK (state IN ('notStarted', 'inProgress', 'finished', 'failed', 'cancelled')),
    created      INTEGER NOT NULL,             -- all times: microseconds since 1970, UTC
    updated      INTEGER NOT NULL,
    attempt      INTEGER NOT NULL DEFAULT 0,   -- the fencing token; never falls
    tries        INTEGER NOT NULL DEFAULT 0,
    deaths       INTEGER NOT NULL DEFAULT 0,
    worker       TEXT    NOT NULL DEFAULT '',
    lease_until  INTEGER NOT NULL DEFAULT 0,   -- 0: no lease
    not_before   INTEGER NOT NULL DEFAULT 0,   -- 0: at once
    progress     REAL    NOT NULL DEFAULT 0,
    blob_key     TEXT    NOT NULL,             -- the original in storage
    blob_size    INTEGER NOT NULL,
    blob_sha256  TEXT    NOT NULL,
    blob_type    TEXT    NOT NULL,
    pipeline     TEXT    NOT NULL,             -- JSON, as are the next two
    result       TEXT,
    failures     TEXT
);

-- Lists by state, and their cursors.
CREATE INDEX tasks_state ON tasks (state, id);

-- What a claim takes: the oldest of those that may be claimed at once, and of
-- those whose pause is over. Its cost does not depend on how many wait.
CREATE INDEX tasks_ready ON tasks (created, id) WHERE state = 'notStarted' AND not_before = 0;
CREATE INDEX tasks_paused ON tasks (not_before, id, created) WHERE state = 'notStarted' AND not_before > 0;

-- The oldest of the paused ones, for the statistics.
CREATE INDEX tasks_paused_age ON tasks (created) WHERE state = 'notStarted' AND not_before > 0;

-- The leases that run out next.
CREATE INDEX tasks_leases ON tasks (lease_until, id) WHERE state = 'inProgress';

-- How many tasks each state has, kept by the writer in the same transaction.
CREATE TABLE counts (
    state TEXT    NOT NULL PRIMARY KEY,
    tasks INTEGER NOT NULL CHECK (tasks >= 0)
) WITHOUT ROWID;

INSERT INTO counts (state, tasks)
VALUES ('notStarted', 0), ('inProgress', 0), ('finished', 0), ('failed', 0), ('cancelled', 0);

-- +goose Down
DROP TABLE counts;
DROP TABLE tasks;
