SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- What going back needs beside the journal.

-- Alias tables are large, and a row has no key of its own: what a run took out of
-- name_aliases stays here, under the run, so that it can come back.
CREATE TABLE aliases_set_aside (
    run_id uuid NOT NULL,
    key bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    folded text COLLATE "C" NOT NULL,
    alias text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL
);

CREATE INDEX aliases_set_aside_run_id ON aliases_set_aside (run_id, source);

COMMENT ON TABLE aliases_set_aside IS 'Rows that a run took out of name_aliases.';
COMMENT ON COLUMN aliases_set_aside.run_id IS 'The run that took them out (runs.id).';

-- Rows of measurements are left where they are when a rollback removes their dataset: its
-- journal entry holds the dataset and its revisions, and bringing them back finds the rows.
CREATE VIEW set_aside_revisions AS
SELECT
    (c.change ->> 'id')::uuid AS dataset_id,
    (c.change ->> 'revision')::integer AS revision,
    r.id AS run_id,
    r.rolls_back,
    (c.change -> 'before' ->> 'row_count')::bigint AS row_count
FROM runs AS r
CROSS JOIN LATERAL jsonb_array_elements(r.changes) AS c (change)
WHERE r.command = 'rollback' AND r.outcome = 'done' AND c.change ->> 'table' = 'revisions'
    AND jsonb_typeof(c.change -> 'before') = 'object'
    AND NOT EXISTS (
        SELECT FROM revisions AS v
        WHERE v.dataset_id = (c.change ->> 'id')::uuid AND v.revision = (c.change ->> 'revision')::integer);

COMMENT ON VIEW set_aside_revisions IS 'Revisions that a rollback removed with their dataset, whose rows are still stored.';
COMMENT ON COLUMN set_aside_revisions.run_id IS 'The rollback that holds them; rolling it back brings them back.';
COMMENT ON COLUMN set_aside_revisions.rolls_back IS 'The run that it undid.';
