SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP VIEW campaign_results;
DROP VIEW campaign_plates;
DROP VIEW campaign_overview;
DROP TABLE screening_plates;
DROP TABLE screening_revisions;
ALTER TABLE screening_results DROP COLUMN robust_z;
ALTER TABLE screening_results DROP COLUMN z_score;

COMMENT ON COLUMN screening_results.ordinal IS 'Place of the row among the data rows of the source, from 1.';
COMMENT ON COLUMN screening_results.is_hit IS 'By the campaign''s hit rule; NULL when it declares none.';
