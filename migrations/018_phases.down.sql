SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE parity_checks;
DROP TABLE phase_changes;
DROP TABLE lab_phase;
