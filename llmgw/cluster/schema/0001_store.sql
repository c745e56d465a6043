-- Organisations, keys and credentials
--
-- As in the standalone store. Ids sort by their bytes, whatever the language of the database. Times are Unix seconds.

CREATE TABLE orgs (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL UNIQUE,
    created_at double precision NOT NULL,
    suspended_at double precision
);

CREATE TABLE tokens (
    id text COLLATE "C" PRIMARY KEY,
    public_id text NOT NULL UNIQUE,
    org_id text COLLATE "C" NOT NULL REFERENCES orgs (id),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    name text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    created_at double precision NOT NULL,
    revoked_at double precision
);
CREATE INDEX tokens_of_org ON tokens (org_id);

CREATE TABLE data_keys (
    org_id text COLLATE "C" NOT NULL REFERENCES orgs (id),
    term bigint NOT NULL CHECK (term >= 1),
    kek_term text NOT NULL,
    wrapped bytea NOT NULL,
    created_at double precision NOT NULL,
    PRIMARY KEY (org_id, term)
);

CREATE TABLE credentials (
    id text COLLATE "C" PRIMARY KEY,
    org_id text COLLATE "C" NOT NULL REFERENCES orgs (id),
    name text NOT NULL,
    data_key_term bigint NOT NULL,
    sealed bytea NOT NULL,
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL,
    UNIQUE (org_id, name),
    FOREIGN KEY (org_id, data_key_term) REFERENCES data_keys (org_id, term)
);

CREATE TABLE virtual_keys (
    id text COLLATE "C" PRIMARY KEY,
    public_id text NOT NULL UNIQUE,
    org_id text COLLATE "C" NOT NULL REFERENCES orgs (id),
    name text NOT NULL,
    rpm bigint CHECK (rpm >= 1),
    tpm bigint CHECK (tpm >= 1),
    max_parallel bigint CHECK (max_parallel >= 1),
    budget_nano_usd bigint CHECK (budget_nano_usd >= 1),
    budget_period text CHECK (budget_period IN ('hour', 'day', 'week', 'month', 'total')),
    -- A budget that rolls; its period is written `total`.
    budget_window_s double precision CHECK (budget_window_s > 0),
    -- JSON as it was written.
    models text NOT NULL CHECK (jsonb_typeof(models::jsonb) = 'array'),
    metadata text NOT NULL CHECK (jsonb_typeof(metadata::jsonb) = 'object'),
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL,
    expires_at double precision,
    revoked_at double precision,
    CHECK ((budget_nano_usd IS NULL) = (budget_period IS NULL))
);
CREATE UNIQUE INDEX virtual_keys_in_force ON virtual_keys (org_id, name) WHERE revoked_at IS NULL;
CREATE INDEX virtual_keys_of_org ON virtual_keys (org_id, id);

CREATE TABLE virtual_key_terms (
    key_id text COLLATE "C" NOT NULL REFERENCES virtual_keys (id),
    position bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    expires_at double precision,
    PRIMARY KEY (key_id, position)
);

-- Raised by every change of what nodes keep in memory. `mark` is another each time: after a fail-over to a standby that
-- had not heard of the last changes, or after a backup was restored, a number may come again for another state.
CREATE TABLE revision (
    only_row bigint PRIMARY KEY CHECK (only_row = 1),
    value bigint NOT NULL,
    mark uuid NOT NULL
);
INSERT INTO revision (only_row, value, mark) VALUES (1, 1, gen_random_uuid());

-- A trigger and not code: whoever writes, be it an operator with psql, running nodes notice. The row that is raised
-- orders writers, and the notice comes with the commit.
CREATE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revision SET value = value + 1, mark = gen_random_uuid();
    PERFORM pg_notify('llmgw', (SELECT value::text FROM revision));
    RETURN NULL;
END
$$;

CREATE TRIGGER noticed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON orgs
    FOR EACH STATEMENT EXECUTE FUNCTION noticed();
CREATE TRIGGER noticed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON data_keys
    FOR EACH STATEMENT EXECUTE FUNCTION noticed();
CREATE TRIGGER noticed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credentials
    FOR EACH STATEMENT EXECUTE FUNCTION noticed();
CREATE TRIGGER noticed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON virtual_keys
    FOR EACH STATEMENT EXECUTE FUNCTION noticed();
CREATE TRIGGER noticed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON virtual_key_terms
    FOR EACH STATEMENT EXECUTE FUNCTION noticed();
