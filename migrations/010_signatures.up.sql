SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Signatures as they are loaded, and scores as they are written: many at once.

ALTER TABLE signatures ADD COLUMN content_sha256 text COLLATE "C";
ALTER TABLE signature_components ADD COLUMN reason text;

COMMENT ON COLUMN signatures.version IS 'Version as its source names it; counted from 1 where it names none.';
COMMENT ON COLUMN signatures.content_sha256 IS 'SHA-256 of components, read names and details, hexadecimal: the same content is no new version.';
COMMENT ON COLUMN signature_components.reason IS 'Why no reader understood the name; NULL when one did.';

-- Which version of a signature counts: the latest of its name.
CREATE INDEX signatures_name_created_at ON signatures (name, created_at);

-- A million scores share a few sets of parameters: written beside each score they took a third
-- of the time and half of the room.  The key is computed by the client.
CREATE TABLE score_parameters (
    key bigint PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    method text COLLATE "C" NOT NULL,
    method_version text COLLATE "C" NOT NULL,
    parameters jsonb NOT NULL
);

COMMENT ON TABLE score_parameters IS 'How scores were computed: a method, its version and all of its parameters.';
COMMENT ON COLUMN score_parameters.key IS 'The first 8 bytes, big-endian and signed, of the SHA-256 of method, version and parameters as JSON with sorted keys, NUL bytes between.';
COMMENT ON COLUMN score_parameters.parameters IS 'Threshold, permutations, seed, how components matched, the column of effects, ....';

INSERT INTO score_parameters (key, method, method_version, parameters)
SELECT DISTINCT ON (method, method_version, parameters)
    ('x' || substr(encode(sha256(convert_to(method || method_version || parameters::text, 'UTF8')), 'hex'), 1, 16))::bit(64)::bigint,
    method, method_version, parameters
FROM dataset_signatures;

ALTER TABLE dataset_signatures ADD COLUMN parameters_key bigint;
UPDATE dataset_signatures AS x SET parameters_key = p.key
FROM score_parameters AS p
WHERE p.method = x.method AND p.method_version = x.method_version AND p.parameters = x.parameters;
ALTER TABLE dataset_signatures ALTER COLUMN parameters_key SET NOT NULL;
ALTER TABLE dataset_signatures DROP COLUMN parameters;
ALTER TABLE dataset_signatures DROP COLUMN method_version;

COMMENT ON COLUMN dataset_signatures.parameters_key IS 'score_parameters.key.';

-- Of a million scores few are matches.  An index over all of them took three quarters of the
-- time of writing them, so it is one over the matches.
DROP INDEX dataset_signatures_signature_id;
CREATE INDEX dataset_signatures_matches ON dataset_signatures (signature_id, score)
    WHERE is_match;

COMMENT ON COLUMN dataset_signatures.score IS 'Score on the scale of its method; NULL when nothing matched, or less than the threshold.';
COMMENT ON COLUMN dataset_signatures.is_match IS 'Whether the score counts as a match by the rule of its method; NULL where it has none.';
COMMENT ON COLUMN dataset_signatures.level IS 'How the weakest component matched: exact, or contained (a component that leaves open what the dataset says); NULL when none did.';
COMMENT ON COLUMN dataset_signatures.details IS 'What else the method found, such as the scores of samples.';

CREATE VIEW signature_scores AS
SELECT
    x.dataset_id,
    d.name AS dataset,
    d.omics_type,
    x.signature_id,
    s.name AS signature,
    s.version AS signature_version,
    x.method,
    x.contrast,
    x.score,
    x.p_value,
    x.coverage,
    x.matched_count,
    x.component_count,
    x.is_match,
    x.level,
    p.method_version,
    p.parameters,
    x.details,
    x.input_sha256,
    x.run_id,
    x.created_at AS scored_at
FROM dataset_signatures AS x
JOIN datasets AS d ON d.id = x.dataset_id AND d.current_revision = x.revision
JOIN signatures AS s ON s.id = x.signature_id
LEFT JOIN score_parameters AS p ON p.key = x.parameters_key;

COMMENT ON VIEW signature_scores IS 'The scores of every dataset''s current revision with the names of dataset and signature.';
COMMENT ON COLUMN signature_scores.contrast IS 'The comparison that gave directions, as a column''s name or as case/control; empty when there is only one without a name.';
