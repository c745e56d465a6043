-- The ledger
--
-- As in the standalone store. Texts hold no NUL, which Postgres does not take: see llmgw/cluster/texts.py.

-- What many calls have in common, once. `keyless` is the kind that has the same but no key.
CREATE TABLE call_kinds (
    kind bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    keyless bigint REFERENCES call_kinds (kind),
    org_id text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    model_asked text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    status bigint NOT NULL,
    usage_source text NOT NULL,
    route text COLLATE "C" NOT NULL,
    shadow_route text COLLATE "C" NOT NULL,
    -- Names may be longer than an entry of an index.
    likeness bytea NOT NULL UNIQUE
);

-- By months: rows that are too old go with their table, in a moment. Those of odd times, which a clock that was wrong
-- has made, are in the last one. `number` grows as rows arrive.
CREATE TABLE ledger (
    number bigint NOT NULL,
    kind bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    "time" double precision NOT NULL,
    request_id text NOT NULL,
    trace_id text NOT NULL,
    org_id text COLLATE "C" NOT NULL,
    org text NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    tags text NOT NULL,
    endpoint text NOT NULL,
    model_asked text NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    route text,
    attempts bigint NOT NULL,
    streamed boolean NOT NULL,
    status bigint NOT NULL,
    error text,
    input bigint,
    cache_read bigint,
    cache_write_5m bigint,
    cache_write_1h bigint,
    input_audio bigint,
    output bigint,
    reasoning bigint,
    output_audio bigint,
    usage_source text NOT NULL,
    reserved_nano_usd bigint NOT NULL,
    cost_nano_usd bigint,
    asked_cost_nano_usd bigint,
    price_version text,
    latency_ms bigint NOT NULL,
    first_token_ms bigint,
    shadow_route text,
    shadow_cost_nano_usd bigint,
    policies text,
    PRIMARY KEY (id, "time")
) PARTITION BY RANGE ("time");
CREATE INDEX ledger_in_order ON ledger (number);
CREATE TABLE ledger_odd PARTITION OF ledger DEFAULT;

-- The beginning of the day (Unix seconds) before which rows were let go, and the number of the last row.
CREATE TABLE ledger_state (
    only_row bigint PRIMARY KEY CHECK (only_row = 1),
    purged_before bigint NOT NULL,
    numbered bigint NOT NULL
);
INSERT INTO ledger_state (only_row, purged_before, numbered) VALUES (1, 0, 0);

-- How far each process's journal has been taken over.
CREATE TABLE journals (
    id text PRIMARY KEY,
    segment bigint NOT NULL,
    "offset" bigint NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);

-- `start` is the beginning of an hour or a day (`span`, in seconds) in Unix seconds. Sums are NULL where no row had the
-- value: nothing known is not zero.
CREATE TABLE usage_rollups (
    span bigint NOT NULL,
    start bigint NOT NULL,
    kind bigint NOT NULL REFERENCES call_kinds (kind),
    requests bigint NOT NULL,
    unpriced bigint NOT NULL,
    input bigint,
    cache_read bigint,
    cache_write_5m bigint,
    cache_write_1h bigint,
    input_audio bigint,
    output bigint,
    reasoning bigint,
    output_audio bigint,
    cost_nano_usd bigint,
    saved_nano_usd bigint,
    shadow_saved_nano_usd bigint,
    PRIMARY KEY (span, start, kind)
);
CREATE TABLE tag_rollups (
    span bigint NOT NULL,
    start bigint NOT NULL,
    kind bigint NOT NULL REFERENCES call_kinds (kind),
    tag text COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    unpriced bigint NOT NULL,
    input bigint,
    cache_read bigint,
    cache_write_5m bigint,
    cache_write_1h bigint,
    input_audio bigint,
    output bigint,
    reasoning bigint,
    output_audio bigint,
    cost_nano_usd bigint,
    saved_nano_usd bigint,
    shadow_saved_nano_usd bigint,
    PRIMARY KEY (span, start, kind, tag)
);
-- What counters begin with.
CREATE TABLE scope_rollups (
    scope text NOT NULL,
    id text COLLATE "C" NOT NULL,
    start bigint NOT NULL,
    requests bigint NOT NULL,
    tokens bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    PRIMARY KEY (scope, id, start)
);
