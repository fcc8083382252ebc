SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP INDEX features_without_sum;
DROP INDEX features_sum;
