SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Sets of names that all have their receipts.
--
-- A lab reads the same panel or genome again and again.  That all its names have their
-- features and receipts is then one look-up instead of tens of thousands: features and
-- receipts are never taken back.  The digest does not depend on the names' order.

CREATE TABLE name_sets (
    digest uuid PRIMARY KEY,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    name_count bigint NOT NULL
);

COMMENT ON TABLE name_sets IS 'Large sets of names that were read together and have all their features and receipts.';
COMMENT ON COLUMN name_sets.digest IS '128 bits of the keys of the features and of the raw names, whatever their order.';
COMMENT ON COLUMN name_sets.run_id IS 'The run that read the set first (runs.id).';
COMMENT ON COLUMN name_sets.name_count IS 'How many names.';
