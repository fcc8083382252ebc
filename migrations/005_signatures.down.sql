SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE dataset_signatures;
DROP TABLE program_signatures;
DROP TABLE signature_components;
DROP TABLE signatures;
