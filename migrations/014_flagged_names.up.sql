SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Names that their reader flags as contaminants or decoys: few, and asked for with every
-- dataset of proteins that is scored.
CREATE INDEX feature_names_flagged ON feature_names (feature_key) WHERE aside ? 'flag';

COMMENT ON COLUMN screening_revisions.derived_from IS 'The revision whose values these are, reckoned anew; NULL when they were read from sources.';
COMMENT ON COLUMN screening_revisions.run_id IS 'The run that made it (runs.id); sources say which run read each of them.';
COMMENT ON COLUMN screening_revisions.sources IS '[{"source", "path" or "table", "sha256", "bytes", "rows", "first_ordinal", "columns": [{"position", "header", "field", "unit"}], "given", "recipe", "recipe_sha256", "run_id", "doubts"}], those that were read first in front.';
COMMENT ON COLUMN screening_revisions.given IS 'What else decided how the sources of its run were read.';
