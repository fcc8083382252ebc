SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP INDEX compounds_chembl_id;
DROP INDEX compounds_cas_number;
DROP VIEW dataset_experiments;
DROP VIEW dataset_programs;
