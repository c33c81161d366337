-- One queue for all work that outlives a request: webhooks, films, replicas in training, recordings to upload.
-- Open jobs of one kind and key run one after the other, in the order of their numbers.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0,
    percent INTEGER NOT NULL DEFAULT 0,
    result TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    next_at REAL NOT NULL,
    until REAL,
    finished_at REAL,
    UNIQUE (kind, id)
);
CREATE INDEX jobs_open ON jobs (kind, key, number) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_key ON jobs (key, number);

INSERT INTO jobs (kind, id, key, name, payload, state, attempts, result, created_at, updated_at, next_at, until, finished_at)
SELECT 'webhook', id, stream, event_type, json_object('url', url, 'body', body),
    CASE state WHEN 'delivered' THEN 'succeeded' WHEN 'given_up' THEN 'failed' ELSE 'queued' END,
    attempts, last_answer, created_at, coalesce(finished_at, created_at), next_at, until, finished_at
FROM outbox ORDER BY number;

INSERT INTO jobs (kind, id, key, name, payload, state, attempts, result, created_at, updated_at, next_at, finished_at)
SELECT 'training', id, id, name, json_remove(document, '$.status', '$.attempts', '$.error'),
    CASE json_extract(document, '$.status') WHEN 'error' THEN 'failed' ELSE 'queued' END,
    coalesce(json_extract(document, '$.attempts'), 0), coalesce(json_extract(document, '$.error'), ''),
    created_at, updated_at, created_at,
    CASE json_extract(document, '$.status') WHEN 'error' THEN updated_at END
FROM resources WHERE kind = 'training' ORDER BY created_at, id;

INSERT INTO jobs (kind, id, key, name, percent, payload, state, result, created_at, updated_at, next_at, finished_at)
SELECT 'film', id, id, name, CASE json_extract(document, '$.status') WHEN 'ready' THEN 100 ELSE 0 END,
    json_remove(document, '$.status', '$.error', '$.details'),
    CASE json_extract(document, '$.status') WHEN 'ready' THEN 'succeeded' WHEN 'error' THEN 'failed' ELSE 'queued' END,
    coalesce(json_extract(document, '$.error'), ''), created_at, updated_at, created_at,
    CASE WHEN json_extract(document, '$.status') IN ('ready', 'error') THEN updated_at END
FROM resources WHERE kind = 'videos' ORDER BY created_at, id;

INSERT INTO jobs (kind, id, key, name, payload, state, attempts, created_at, updated_at, next_at, until)
SELECT 'recording', id, id, name, json_remove(document, '$.tries', '$.next_at'), 'queued',
    coalesce(json_extract(document, '$.tries'), 0), created_at, updated_at,
    json_extract(document, '$.next_at'), created_at + 86400
FROM resources WHERE kind = 'uploads' ORDER BY created_at, id;

DELETE FROM resources WHERE kind IN ('training', 'videos', 'uploads');
DROP TABLE outbox;
