-- Everything belongs to an owner; what was there before, and files that nobody claimed, to 'default'.
ALTER TABLE api_keys ADD COLUMN owner TEXT NOT NULL DEFAULT 'default';
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'read converse admin';
ALTER TABLE api_keys ADD COLUMN last_used_at REAL;
ALTER TABLE resources ADD COLUMN owner TEXT NOT NULL DEFAULT 'default';
ALTER TABLE conversations ADD COLUMN owner TEXT NOT NULL DEFAULT 'default';
-- Jobs of one lane share a few places, so that one slow host does not take them all.
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT 'default';
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';

-- Whose files they are: personas and replicas by the names of their files, uploads by their ids.
CREATE TABLE owners (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Who did what, when, from where, with what result. No content.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    key_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    status INTEGER NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);

-- Written every few seconds by a server, to see whether the database takes it.
CREATE TABLE heartbeat (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    at REAL NOT NULL
);
