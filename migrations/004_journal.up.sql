SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- The journal and the queues.  Local tables: they stay on one node, so identity
-- columns, row locks and foreign keys among them are fine.

CREATE TABLE runs (
    id uuid PRIMARY KEY,
    batch_id uuid,
    rolls_back uuid,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome text COLLATE "C" NOT NULL DEFAULT 'running',
    command text COLLATE "C" NOT NULL,
    recipe text COLLATE "C",
    recipe_sha256 text COLLATE "C",
    arguments jsonb,
    host_version text COLLATE "C",
    os_user text COLLATE "C",
    hostname text COLLATE "C",
    error jsonb,
    counts jsonb,
    changes jsonb
);

ALTER TABLE runs ADD CONSTRAINT runs_outcome_known
    CHECK (outcome IN ('running', 'done', 'failed', 'unchanged', 'rolled_back'));
ALTER TABLE runs ADD CONSTRAINT runs_rolls_back_fkey
    FOREIGN KEY (rolls_back) REFERENCES runs (id);
CREATE INDEX runs_started_at ON runs (started_at);
CREATE INDEX runs_batch_id ON runs (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_rolls_back ON runs (rolls_back) WHERE rolls_back IS NOT NULL;

COMMENT ON TABLE runs IS 'The journal: what was run, by whom, when, and what it changed.';
COMMENT ON COLUMN runs.batch_id IS 'Common to the runs of one batch.';
COMMENT ON COLUMN runs.rolls_back IS 'The run that this run undoes.';
COMMENT ON COLUMN runs.outcome IS 'running, done, failed, unchanged or rolled_back.';
COMMENT ON COLUMN runs.command IS 'The command, such as ingest.';
COMMENT ON COLUMN runs.recipe IS 'Name of the recipe.';
COMMENT ON COLUMN runs.recipe_sha256 IS 'SHA-256 of the recipe''s text, hexadecimal.';
COMMENT ON COLUMN runs.arguments IS 'Options and files as given; secrets left out.';
COMMENT ON COLUMN runs.host_version IS 'Version of ligase.';
COMMENT ON COLUMN runs.os_user IS 'The operating system''s user who ran it.';
COMMENT ON COLUMN runs.error IS 'The error as an object when the run failed.';
COMMENT ON COLUMN runs.counts IS 'What it counted: rows, features, values, ....';
COMMENT ON COLUMN runs.changes IS 'What it changed: [{"table": ..., "id": ..., "before": object or null}], in order.';

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_id uuid NOT NULL,
    run_id uuid,
    lease uuid,
    lease_until timestamptz,
    available_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    target text COLLATE "C" NOT NULL DEFAULT 'notion',
    entity_type text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'pending',
    payload jsonb NOT NULL DEFAULT '{}',
    last_error text
);

ALTER TABLE outbox ADD CONSTRAINT outbox_action_known
    CHECK (action IN ('create', 'update', 'delete', 'restore'));
ALTER TABLE outbox ADD CONSTRAINT outbox_state_known
    CHECK (state IN ('pending', 'running', 'done', 'superseded', 'dead', 'discarded'));
ALTER TABLE outbox ADD CONSTRAINT outbox_lease_while_running
    CHECK ((state = 'running') = (lease IS NOT NULL AND lease_until IS NOT NULL));
ALTER TABLE outbox ADD CONSTRAINT outbox_attempts_not_negative CHECK (attempts >= 0);
ALTER TABLE outbox ADD CONSTRAINT outbox_run_id_fkey FOREIGN KEY (run_id) REFERENCES runs (id);
CREATE INDEX outbox_claimable ON outbox (target, available_at) WHERE state = 'pending';
CREATE INDEX outbox_leases ON outbox (lease_until) WHERE state = 'running';
CREATE INDEX outbox_unfinished ON outbox (entity_id, target, id)
    WHERE state IN ('pending', 'running', 'dead');
CREATE INDEX outbox_run_id ON outbox (run_id) WHERE run_id IS NOT NULL;

COMMENT ON TABLE outbox IS 'What other systems still have to learn, written in the transaction of the change itself.';
COMMENT ON COLUMN outbox.target IS 'The system that has to learn it, such as notion.';
COMMENT ON COLUMN outbox.entity_type IS 'Table of the entity, such as datasets.';
COMMENT ON COLUMN outbox.action IS 'create, update, delete or restore.';
COMMENT ON COLUMN outbox.state IS 'pending, running, done, superseded (by a newer change of the same entity), dead (needs a person) or discarded.';
COMMENT ON COLUMN outbox.attempts IS 'Failed deliveries; waiting for a rate limit does not count.';
COMMENT ON COLUMN outbox.lease IS 'Token of the claim; completion must name it.';
COMMENT ON COLUMN outbox.lease_until IS 'When the claim lapses.';
COMMENT ON COLUMN outbox.available_at IS 'Not to be tried before.';

CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id uuid NOT NULL,
    run_id uuid,
    dataset_id uuid,
    lease uuid,
    lease_until timestamptz,
    available_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    source_modified timestamptz,
    source_bytes bigint,
    attempts integer NOT NULL DEFAULT 0,
    state text COLLATE "C" NOT NULL DEFAULT 'pending',
    outcome text COLLATE "C",
    command text COLLATE "C" NOT NULL DEFAULT 'ingest',
    batch_key text COLLATE "C",
    hostname text COLLATE "C",
    source text COLLATE "C" NOT NULL,
    name text COLLATE "C",
    recipe text COLLATE "C",
    worker text COLLATE "C",
    arguments jsonb NOT NULL DEFAULT '{}',
    last_error jsonb
);

ALTER TABLE jobs ADD CONSTRAINT jobs_state_known
    CHECK (state IN ('pending', 'running', 'done', 'dead', 'cancelled'));
ALTER TABLE jobs ADD CONSTRAINT jobs_lease_while_running
    CHECK ((state = 'running') = (lease IS NOT NULL AND lease_until IS NOT NULL));
ALTER TABLE jobs ADD CONSTRAINT jobs_outcome_known CHECK (outcome IN ('ingested', 'unchanged'));
ALTER TABLE jobs ADD CONSTRAINT jobs_attempts_not_negative CHECK (attempts >= 0);
ALTER TABLE jobs ADD CONSTRAINT jobs_batch_id_source_unique UNIQUE (batch_id, source);
ALTER TABLE jobs ADD CONSTRAINT jobs_run_id_fkey FOREIGN KEY (run_id) REFERENCES runs (id);
CREATE INDEX jobs_claimable ON jobs (id) WHERE state = 'pending';
CREATE INDEX jobs_claimable_of_batch ON jobs (batch_id, id) WHERE state = 'pending';
CREATE INDEX jobs_unfinished_batches ON jobs (batch_key) WHERE state = 'pending';
CREATE INDEX jobs_dead ON jobs (source) WHERE state = 'dead';
CREATE INDEX jobs_leases ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_run_id ON jobs (run_id) WHERE run_id IS NOT NULL;

COMMENT ON TABLE jobs IS 'Files waiting to be ingested. A worker claims one with FOR UPDATE SKIP LOCKED in the transaction that ingests it, so that a crash puts it back by itself.';
COMMENT ON COLUMN jobs.batch_id IS 'The batch it came with.';
COMMENT ON COLUMN jobs.batch_key IS 'Common to the batches of one command line on one machine: the same command goes on with what is left.';
COMMENT ON COLUMN jobs.state IS 'pending, running (claimed by lease, for work that outlives one transaction), done, dead (set aside with its reason) or cancelled (superseded by a later job for the same source).';
COMMENT ON COLUMN jobs.outcome IS 'When done: ingested or unchanged.';
COMMENT ON COLUMN jobs.attempts IS 'How often it was set aside.';
COMMENT ON COLUMN jobs.hostname IS 'The machine whose path the source is.';
COMMENT ON COLUMN jobs.source IS 'Path or URL.';
COMMENT ON COLUMN jobs.source_bytes IS 'Size of the source in bytes when it was queued, where known.';
COMMENT ON COLUMN jobs.source_modified IS 'When the source was last changed before it was queued, where known.';
COMMENT ON COLUMN jobs.name IS 'Name of the dataset that it becomes.';
COMMENT ON COLUMN jobs.recipe IS 'Path or name of the recipe.';
COMMENT ON COLUMN jobs.worker IS 'host:pid of the worker that last took it.';
COMMENT ON COLUMN jobs.arguments IS 'Options of the command, as they were given.';
COMMENT ON COLUMN jobs.lease IS 'Token of the claim; completion must name it.';
COMMENT ON COLUMN jobs.last_error IS 'Why it was set aside, as an error object.';
COMMENT ON COLUMN jobs.dataset_id IS 'The dataset it became.';
