SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE rate_limits;
