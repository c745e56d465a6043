-- Flags: what was said last of each
--
-- As in the standalone store; `orgs` and `keys` are JSON as it was written.

CREATE TABLE flag_changes (
    flag text COLLATE "C" PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('on', 'off', 'cleared')),
    percentage double precision NOT NULL CHECK (percentage BETWEEN 0 AND 100),
    orgs text NOT NULL CHECK (jsonb_typeof(orgs::jsonb) = 'array'),
    keys text NOT NULL CHECK (jsonb_typeof(keys::jsonb) = 'array'),
    said_by text NOT NULL CHECK (said_by IN ('operator', 'guard')),
    actor text NOT NULL,
    reason text NOT NULL,
    time double precision NOT NULL
);

CREATE TRIGGER noticed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON flag_changes
    FOR EACH STATEMENT EXECUTE FUNCTION noticed();
