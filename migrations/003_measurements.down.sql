SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE measurements;
DROP TABLE revisions;
