BEGIN TRANSACTION;
CREATE TABLE call_kinds (
        kind INTEGER PRIMARY KEY,
        keyless INTEGER REFERENCES call_kinds (kind),
        org_id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        status INTEGER NOT NULL,
        usage_source TEXT NOT NULL,
        UNIQUE (key_id, org_id, model_asked, model, provider, status, usage_source)
    ) STRICT
;
INSERT INTO "call_kinds" VALUES(1,NULL,'org_1','','smart','gpt-4o','openai',200,'reported');
INSERT INTO "call_kinds" VALUES(2,1,'org_1','key_1','smart','gpt-4o','openai',200,'reported');
INSERT INTO "call_kinds" VALUES(3,NULL,'org_1','','smart','free','openai',200,'reported');
INSERT INTO "call_kinds" VALUES(4,3,'org_1','key_1','smart','free','openai',200,'reported');
INSERT INTO "call_kinds" VALUES(5,NULL,'org_1','','smart','gpt-4o','openai',499,'reported');
INSERT INTO "call_kinds" VALUES(6,5,'org_1','key_1','smart','gpt-4o','openai',499,'reported');
INSERT INTO "call_kinds" VALUES(7,NULL,'org_1','','smart','gpt-4o','second',200,'reported');
INSERT INTO "call_kinds" VALUES(8,7,'org_1','key_2','smart','gpt-4o','second',200,'reported');
INSERT INTO "call_kinds" VALUES(9,NULL,'org_2','','smart','gpt-4o','openai',200,'reported');
INSERT INTO "call_kinds" VALUES(10,9,'org_2','key_3','smart','gpt-4o','openai',200,'reported');
CREATE TABLE credentials (
        id TEXT PRIMARY KEY,
        org_id TEXT NOT NULL REFERENCES orgs (id),
        name TEXT NOT NULL,
        data_key_term INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        UNIQUE (org_id, name),
        FOREIGN KEY (org_id, data_key_term) REFERENCES data_keys (org_id, term)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE data_keys (
        org_id TEXT NOT NULL REFERENCES orgs (id),
        term INTEGER NOT NULL CHECK (term >= 1),
        kek_term TEXT NOT NULL,
        wrapped BLOB NOT NULL,
        created_at REAL NOT NULL,
        PRIMARY KEY (org_id, term)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE ledger (
        number INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        time REAL NOT NULL,
        request_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        org_id TEXT NOT NULL,
        org TEXT NOT NULL,
        key_id TEXT NOT NULL,
        tags TEXT NOT NULL CHECK (json_type(tags) = 'object'),
        endpoint TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        route TEXT,
        attempts INTEGER NOT NULL,
        streamed INTEGER NOT NULL,
        status INTEGER NOT NULL,
        error TEXT,
        input INTEGER,
        cache_read INTEGER,
        cache_write_5m INTEGER,
        cache_write_1h INTEGER,
        input_audio INTEGER,
        output INTEGER,
        reasoning INTEGER,
        output_audio INTEGER,
        usage_source TEXT NOT NULL,
        reserved_nano_usd INTEGER NOT NULL,
        cost_nano_usd INTEGER,
        asked_cost_nano_usd INTEGER,
        price_version TEXT,
        latency_ms INTEGER NOT NULL,
        first_token_ms INTEGER
    ) STRICT
;
INSERT INTO "ledger" VALUES(1,2,'call_01m3250v00tr4v1825c5h0ef58',1790000000.0,'req_1','0af7651916cd43dd8448eb211c80319c','org_1','acme','key_1','{"team":"red"}','chat.completions','smart','gpt-4o','openai','classify',1,0,200,NULL,10,20,NULL,NULL,NULL,30,NULL,NULL,'reported',9000,1000,4000,NULL,250,NULL);
INSERT INTO "ledger" VALUES(2,4,'call_01m32514rgvqcnt77mgzngjm2n',1790000010.0,'req_1','0af7651916cd43dd8448eb211c80319c','org_1','acme','key_1','{"team":"red"}','chat.completions','smart','free','openai',NULL,1,0,200,NULL,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'reported',9000,NULL,NULL,NULL,250,NULL);
INSERT INTO "ledger" VALUES(3,6,'call_01m34qdj00n9d4x06qsa5ks2cy',1790086400.0,'req_1','0af7651916cd43dd8448eb211c80319c','org_1','acme','key_1','{"team":"blue","app":"x=y"}','chat.completions','smart','gpt-4o','openai',NULL,1,0,499,'client_closed_request',10,20,NULL,NULL,NULL,30,NULL,NULL,'reported',9000,1000,NULL,NULL,250,NULL);
INSERT INTO "ledger" VALUES(4,8,'call_01m34qdpw88r3htg5k49mpz267',1790086405.0,'req_1','0af7651916cd43dd8448eb211c80319c','org_1','acme','key_2','{}','chat.completions','smart','gpt-4o','second',NULL,1,0,200,NULL,10,20,NULL,NULL,NULL,30,NULL,NULL,'reported',9000,1000,NULL,NULL,250,NULL);
INSERT INTO "ledger" VALUES(5,10,'call_01m379t900bsh1xv7qvp86rm1z',1790172800.0,'req_1','0af7651916cd43dd8448eb211c80319c','org_2','globex','key_3','{"team":"red"}','chat.completions','smart','gpt-4o','openai',NULL,1,0,200,NULL,10,20,NULL,NULL,NULL,30,NULL,NULL,'reported',9000,1000,NULL,NULL,250,NULL);
CREATE TABLE ledger_state (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        journal_segment INTEGER NOT NULL,
        journal_offset INTEGER NOT NULL,
        purged_before INTEGER NOT NULL
    ) STRICT
;
INSERT INTO "ledger_state" VALUES(1,1,2878,0);
CREATE TABLE migrations (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at REAL NOT NULL
    ) STRICT
;
INSERT INTO "migrations" VALUES(1,'organisations, keys and credentials','7b9bc45690664617866141011106c736be9ce03b80726c6a22114051bb307504',1.79547943871726965901e+09);
INSERT INTO "migrations" VALUES(2,'the ledger','d44e21a5967b4541d579137436b2cd8ae52fa1d8cc539049515bca63f3518976',1.79547943871985244746e+09);
INSERT INTO "migrations" VALUES(3,'budgets of keys that roll','ffcc4878d1385366eff100fca48d2873cbca1c839586d4a913a08c4d1902f8cd',1.7954794387217452526e+09);
CREATE TABLE orgs (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at REAL NOT NULL,
        suspended_at REAL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE revision (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        value INTEGER NOT NULL
    ) STRICT
    ;
INSERT INTO "revision" VALUES(1,1);
CREATE TABLE scope_rollups (
        scope TEXT NOT NULL,
        id TEXT NOT NULL,
        start INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        cost_nano_usd INTEGER NOT NULL,
        PRIMARY KEY (scope, id, start)
    ) STRICT, WITHOUT ROWID
;
INSERT INTO "scope_rollups" VALUES('key','key_1',1789999200,2,61,1000);
INSERT INTO "scope_rollups" VALUES('key','key_1',1790085600,1,60,1000);
INSERT INTO "scope_rollups" VALUES('key','key_2',1790085600,1,60,1000);
INSERT INTO "scope_rollups" VALUES('key','key_3',1790172000,1,60,1000);
INSERT INTO "scope_rollups" VALUES('model','smart',1789999200,2,61,1000);
INSERT INTO "scope_rollups" VALUES('model','smart',1790085600,2,120,2000);
INSERT INTO "scope_rollups" VALUES('model','smart',1790172000,1,60,1000);
INSERT INTO "scope_rollups" VALUES('org','org_1',1789999200,2,61,1000);
INSERT INTO "scope_rollups" VALUES('org','org_1',1790085600,2,120,2000);
INSERT INTO "scope_rollups" VALUES('org','org_2',1790172000,1,60,1000);
INSERT INTO "scope_rollups" VALUES('provider','openai',1789999200,2,61,1000);
INSERT INTO "scope_rollups" VALUES('provider','openai',1790085600,1,60,1000);
INSERT INTO "scope_rollups" VALUES('provider','openai',1790172000,1,60,1000);
INSERT INTO "scope_rollups" VALUES('provider','second',1790085600,1,60,1000);
INSERT INTO "scope_rollups" VALUES('tag','org_1/app=x=y',1790085600,1,60,1000);
INSERT INTO "scope_rollups" VALUES('tag','org_1/team=blue',1790085600,1,60,1000);
INSERT INTO "scope_rollups" VALUES('tag','org_1/team=red',1789999200,2,61,1000);
INSERT INTO "scope_rollups" VALUES('tag','org_2/team=red',1790172000,1,60,1000);
CREATE TABLE tag_rollups (
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES call_kinds (kind),
        tag TEXT NOT NULL,
        
        requests INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input INTEGER,
        cache_read INTEGER,
        cache_write_5m INTEGER,
        cache_write_1h INTEGER,
        input_audio INTEGER,
        output INTEGER,
        reasoning INTEGER,
        output_audio INTEGER,
        cost_nano_usd INTEGER,
        saved_nano_usd INTEGER,

        PRIMARY KEY (span, start, kind, tag)
    ) STRICT, WITHOUT ROWID
;
INSERT INTO "tag_rollups" VALUES(3600,1789999200,1,'team=red',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,3000);
INSERT INTO "tag_rollups" VALUES(3600,1789999200,3,'team=red',1,1,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tag_rollups" VALUES(3600,1790085600,5,'app=x=y',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "tag_rollups" VALUES(3600,1790085600,5,'team=blue',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "tag_rollups" VALUES(3600,1790172000,9,'team=red',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "tag_rollups" VALUES(86400,1789948800,1,'team=red',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,3000);
INSERT INTO "tag_rollups" VALUES(86400,1789948800,3,'team=red',1,1,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tag_rollups" VALUES(86400,1790035200,5,'app=x=y',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "tag_rollups" VALUES(86400,1790035200,5,'team=blue',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "tag_rollups" VALUES(86400,1790121600,9,'team=red',1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        public_id TEXT NOT NULL UNIQUE,
        org_id TEXT NOT NULL REFERENCES orgs (id),
        role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
        name TEXT NOT NULL,
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        created_at REAL NOT NULL,
        revoked_at REAL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE usage_rollups (
        span INTEGER NOT NULL,
        start INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES call_kinds (kind),
        
        requests INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        input INTEGER,
        cache_read INTEGER,
        cache_write_5m INTEGER,
        cache_write_1h INTEGER,
        input_audio INTEGER,
        output INTEGER,
        reasoning INTEGER,
        output_audio INTEGER,
        cost_nano_usd INTEGER,
        saved_nano_usd INTEGER,

        PRIMARY KEY (span, start, kind)
    ) STRICT, WITHOUT ROWID
;
INSERT INTO "usage_rollups" VALUES(3600,1789999200,2,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,3000);
INSERT INTO "usage_rollups" VALUES(3600,1789999200,4,1,1,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "usage_rollups" VALUES(3600,1790085600,6,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "usage_rollups" VALUES(3600,1790085600,8,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "usage_rollups" VALUES(3600,1790172000,10,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "usage_rollups" VALUES(86400,1789948800,2,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,3000);
INSERT INTO "usage_rollups" VALUES(86400,1789948800,4,1,1,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "usage_rollups" VALUES(86400,1790035200,6,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "usage_rollups" VALUES(86400,1790035200,8,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
INSERT INTO "usage_rollups" VALUES(86400,1790121600,10,1,0,10,20,NULL,NULL,NULL,30,NULL,NULL,1000,NULL);
CREATE TABLE virtual_key_terms (
        key_id TEXT NOT NULL REFERENCES virtual_keys (id),
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        position INTEGER NOT NULL,
        expires_at REAL,
        PRIMARY KEY (key_id, position)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE virtual_keys (
        id TEXT PRIMARY KEY,
        public_id TEXT NOT NULL UNIQUE,
        org_id TEXT NOT NULL REFERENCES orgs (id),
        name TEXT NOT NULL,
        rpm INTEGER CHECK (rpm >= 1),
        tpm INTEGER CHECK (tpm >= 1),
        max_parallel INTEGER CHECK (max_parallel >= 1),
        budget_nano_usd INTEGER CHECK (budget_nano_usd >= 1),
        budget_period TEXT CHECK (budget_period IN ('hour', 'day', 'week', 'month', 'total')),
        models TEXT NOT NULL CHECK (json_type(models) = 'array'),
        metadata TEXT NOT NULL CHECK (json_type(metadata) = 'object'),
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        expires_at REAL,
        revoked_at REAL, budget_window_s REAL CHECK (budget_window_s > 0),
        CHECK ((budget_nano_usd IS NULL) = (budget_period IS NULL))
    ) STRICT, WITHOUT ROWID
    ;
CREATE INDEX tokens_of_org ON tokens (org_id);
CREATE UNIQUE INDEX virtual_keys_in_force ON virtual_keys (org_id, name) WHERE revoked_at IS NULL;
CREATE INDEX virtual_keys_of_org ON virtual_keys (org_id, id);
CREATE TRIGGER orgs_insert AFTER insert ON orgs
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER orgs_update AFTER update ON orgs
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER orgs_delete AFTER delete ON orgs
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER data_keys_insert AFTER insert ON data_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER data_keys_update AFTER update ON data_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER data_keys_delete AFTER delete ON data_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER credentials_insert AFTER insert ON credentials
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER credentials_update AFTER update ON credentials
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER credentials_delete AFTER delete ON credentials
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER virtual_keys_insert AFTER insert ON virtual_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER virtual_keys_update AFTER update ON virtual_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER virtual_keys_delete AFTER delete ON virtual_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER virtual_key_terms_insert AFTER insert ON virtual_key_terms
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER virtual_key_terms_update AFTER update ON virtual_key_terms
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER virtual_key_terms_delete AFTER delete ON virtual_key_terms
    BEGIN UPDATE revision SET value = value + 1; END;
COMMIT;
