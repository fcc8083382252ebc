SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE name_sets;
