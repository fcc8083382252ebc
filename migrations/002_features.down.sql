SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE feature_names;
DROP TABLE features;
