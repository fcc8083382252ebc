SET LOCAL citus.multi_shard_modify_mode = 'sequential';

ALTER TABLE mirrors DROP COLUMN seen;
