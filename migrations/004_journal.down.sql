SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE jobs;
DROP TABLE outbox;
DROP TABLE runs;
