SET LOCAL citus.multi_shard_modify_mode = 'sequential';

DROP TABLE narratives;
DROP TABLE reconciliation_findings;
DROP TABLE reconciliations;
DROP INDEX outbox_waits_for;
ALTER TABLE outbox DROP COLUMN waits_for;
DROP INDEX outbox_one_writer;
DROP TABLE mirrors;
