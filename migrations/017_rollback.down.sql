SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP VIEW set_aside_revisions;
DROP TABLE aliases_set_aside;
