-- The panic switch
--
-- What is on, as one document; and who changed it.
CREATE TABLE panic (
    id bigint PRIMARY KEY CHECK (id = 1),
    number bigint NOT NULL,
    document text NOT NULL
);

CREATE TABLE panic_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "time" double precision NOT NULL,
    number bigint NOT NULL,
    actor text NOT NULL,
    did text NOT NULL,
    scope text NOT NULL,
    reason text NOT NULL
);
