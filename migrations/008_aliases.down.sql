SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE name_aliases;
DROP TABLE alias_sources;
