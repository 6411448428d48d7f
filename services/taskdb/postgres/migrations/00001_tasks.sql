-- +goose Up
-- Text that is compared or ordered is COLLATE "C": by its bytes, as Go does, whatever the database's own order is.
CREATE TABLE tasks (
    id           text COLLATE "C" NOT NULL PRIMARY KEY, -- UUIDv7, lower case
    state        text COLLATE "C" NOT NULL CHECK (state IN ('notStarted', 'inProgress', 'finished', 'failed', 'cancelled')),
    created      bigint  NOT NULL,             -- all times: microseconds since 1970, UTC
    updated      bigint  NOT NULL,
    attempt      integer NOT NULL DEFAULT 0,   -- the fencing token; never falls
    tries        integer NOT NULL DEFAULT 0,
    deaths       integer NOT NULL DEFAULT 0,
    worker       text COLLATE "C" NOT NULL DEFAULT '',
    lease_until  bigint  NOT NULL DEFAULT 0,   -- 0: no lease
    not_before   bigint  NOT NULL DEFAULT 0,   -- 0: at once
    progress     double precision NOT NULL DEFAULT 0,
    blob_key     text    NOT NULL,             -- the original in storage
    blob_size    bigint  NOT NULL,
    blob_sha256  text    NOT NULL,
    blob_type    text    NOT NULL,
    pipeline     text    NOT NULL,             -- JSON, as are the next two; text, so that it stays as it was written
    result       text,
    failures     text,
    needs        bigint  NOT NULL DEFAULT 0    -- what a worker must be able to do, as bits
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02);

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

-- How many tasks each state has, kept in the same transaction as the tasks. The
-- count is the sum over all rows; each connection writes to one of them, so that
-- commits do not wait for each other. A single row may be below zero.
CREATE TABLE counts (
    shard       integer NOT NULL PRIMARY KEY,
    not_started bigint  NOT NULL DEFAULT 0,
    in_progress bigint  NOT NULL DEFAULT 0,
    finished    bigint  NOT NULL DEFAULT 0,
    failed      bigint  NOT NULL DEFAULT 0,
    cancelled   bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO counts (shard) SELECT generate_series(0, 127);

-- +goose Down
DROP TABLE counts;
DROP TABLE tasks;
