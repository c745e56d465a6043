-- The request log
--
-- By days, which are made as they come and go whole. They are unlogged: a crash of the server may empty them.
CREATE TABLE requests (
    "time" double precision NOT NULL,
    request_id text NOT NULL,
    trace_id text NOT NULL,
    org text,
    key_id text,
    endpoint text NOT NULL,
    model_asked text,
    model text,
    provider text,
    streamed boolean NOT NULL,
    status bigint NOT NULL,
    upstream_status bigint,
    error text,
    attempts bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    total_s double precision NOT NULL,
    overhead_s double precision NOT NULL,
    first_token_s double precision
) PARTITION BY RANGE ("time");
