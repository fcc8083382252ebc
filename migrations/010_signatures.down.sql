SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP VIEW signature_scores;

ALTER TABLE dataset_signatures ADD COLUMN method_version text COLLATE "C";
ALTER TABLE dataset_signatures ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}';
UPDATE dataset_signatures AS x SET method_version = p.method_version, parameters = p.parameters
FROM score_parameters AS p WHERE p.key = x.parameters_key;
ALTER TABLE dataset_signatures ALTER COLUMN method_version SET NOT NULL;
ALTER TABLE dataset_signatures DROP COLUMN parameters_key;
DROP TABLE score_parameters;

COMMENT ON COLUMN dataset_signatures.parameters IS 'Parameters of the method: threshold, seed, permutations, ....';

DROP INDEX dataset_signatures_matches;
CREATE INDEX dataset_signatures_signature_id ON dataset_signatures (signature_id, score);

DROP INDEX signatures_name_created_at;
ALTER TABLE signature_components DROP COLUMN reason;
ALTER TABLE signatures DROP COLUMN content_sha256;

COMMENT ON COLUMN signatures.version IS 'Version as its source names it; empty when it has none.';
COMMENT ON COLUMN dataset_signatures.score IS 'Score on the scale of its method; NULL when nothing matched.';
COMMENT ON COLUMN dataset_signatures.is_match IS 'Whether the score reached the threshold among the parameters.';
COMMENT ON COLUMN dataset_signatures.level IS 'The weakest level at which components matched.';
COMMENT ON COLUMN dataset_signatures.details IS NULL;
