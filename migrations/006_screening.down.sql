SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE screening_results;
DROP TABLE screening_campaigns;
DROP TABLE program_compounds;
DROP TABLE compounds;
