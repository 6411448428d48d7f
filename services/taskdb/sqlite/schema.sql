-- What the migrations add up to; UPDATE_SCHEMA=1 go test ./services/taskdb/sqlite writes it.

CREATE TABLE counts (
    state TEXT    NOT NULL PRIMARY KEY,
    tasks INTEGER NOT NULL CHECK (tasks >= 0)
) WITHOUT ROWID;

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
, needs INTEGER NOT NULL DEFAULT 0, lane INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '', turn INTEGER NOT NULL DEFAULT 0, idempotency_key TEXT, expires INTEGER NOT NULL DEFAULT 0, twin INTEGER);

CREATE TABLE turns (
    lane   INTEGER NOT NULL PRIMARY KEY,
    served INTEGER NOT NULL
);

CREATE INDEX tasks_age ON tasks (created) WHERE state = 'notStarted' AND turn >= 0;

CREATE INDEX tasks_ended ON tasks (state, updated) WHERE state IN ('finished', 'failed', 'cancelled');

CREATE INDEX tasks_expires ON tasks (expires) WHERE expires > 0;

CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX tasks_leases ON tasks (lease_until, id) WHERE state = 'inProgress';

CREATE INDEX tasks_owned ON tasks (owner, state, id) WHERE owner <> '';

CREATE INDEX tasks_paused ON tasks (not_before, id) WHERE state = 'notStarted' AND not_before > 0 AND turn >= 0;

CREATE INDEX tasks_ready ON tasks (lane, turn, created, id, needs) WHERE state = 'notStarted' AND not_before = 0;

CREATE INDEX tasks_scheduled ON tasks (not_before, id) WHERE state = 'notStarted' AND turn < 0;

CREATE INDEX tasks_state ON tasks (state, id);

CREATE INDEX tasks_turns ON tasks (lane, owner, turn) WHERE state = 'notStarted' AND owner <> '';

CREATE INDEX tasks_twins ON tasks (twin, state, updated, id) WHERE twin IS NOT NULL;
