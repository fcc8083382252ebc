SET LOCAL citus.multi_shard_modify_mode = 'sequential';

COMMENT ON COLUMN screening_revisions.given IS 'What else decided how they were read.';
COMMENT ON COLUMN screening_revisions.sources IS '[{"source", "sha256", "bytes", "rows", "first_ordinal", "columns": [{"position", "header", "field", "unit"}]}].';
COMMENT ON COLUMN screening_revisions.run_id IS 'The run that made it (runs.id).';
COMMENT ON COLUMN screening_revisions.derived_from IS 'The revision whose values these are, reckoned anew; NULL when they were read from a source.';

DROP INDEX feature_names_flagged;
