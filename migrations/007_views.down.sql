SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP VIEW dataset_overview;
DROP VIEW effects;
DROP VIEW dataset_samples;
DROP VIEW measurement_values;
