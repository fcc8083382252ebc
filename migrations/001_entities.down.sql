SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE experiment_datasets;
DROP TABLE program_datasets;
DROP TABLE program_experiments;
DROP TABLE datasets;
DROP TABLE experiments;
DROP TABLE programs;
