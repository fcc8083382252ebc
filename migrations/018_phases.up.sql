SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- The phase of the move out of Notion, and how it was reached. Local tables.

CREATE TABLE lab_phase (
    is_only boolean PRIMARY KEY DEFAULT true,
    phase text COLLATE "C" NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now(),
    run_id uuid
);

ALTER TABLE lab_phase ADD CONSTRAINT lab_phase_is_only CHECK (is_only);
ALTER TABLE lab_phase ADD CONSTRAINT lab_phase_known
    CHECK (phase IN ('notion_primary', 'dual_write', 'postgres_primary', 'postgres_only'));

COMMENT ON TABLE lab_phase IS 'The phase in force: one row, or none before the first change of phase, when the settings say it.';
COMMENT ON COLUMN lab_phase.is_only IS 'True: there is one row.';
COMMENT ON COLUMN lab_phase.entered_at IS 'When it was entered; gates count from here on.';
COMMENT ON COLUMN lab_phase.run_id IS 'The run that entered it.';

CREATE TABLE phase_changes (
    run_id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    direction text COLLATE "C" NOT NULL,
    from_phase text COLLATE "C" NOT NULL,
    to_phase text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'begun',
    os_user text COLLATE "C",
    hostname text COLLATE "C",
    overrides jsonb NOT NULL DEFAULT '{}',
    gates jsonb NOT NULL DEFAULT '[]',
    was jsonb NOT NULL DEFAULT '{}',
    became jsonb
);

ALTER TABLE phase_changes ADD CONSTRAINT phase_changes_direction_known CHECK (direction IN ('advance', 'back'));
ALTER TABLE phase_changes ADD CONSTRAINT phase_changes_state_known
    CHECK (state IN ('begun', 'done', 'failed', 'left'));
ALTER TABLE phase_changes ADD CONSTRAINT phase_changes_finished
    CHECK ((state = 'begun') = (finished_at IS NULL));
CREATE UNIQUE INDEX phase_changes_one_begun ON phase_changes ((true)) WHERE state = 'begun';
CREATE INDEX phase_changes_started_at ON phase_changes (started_at);

COMMENT ON TABLE phase_changes IS 'Changes of phase: from where to where, by whom, when, and what was measured.';
COMMENT ON COLUMN phase_changes.run_id IS 'Its entry in the journal (runs.id).';
COMMENT ON COLUMN phase_changes.direction IS 'advance or back.';
COMMENT ON COLUMN phase_changes.state IS 'begun (the phase is still the earlier one), done, failed, or left (another change was begun instead).';
COMMENT ON COLUMN phase_changes.os_user IS 'The operating system''s user who changed it.';
COMMENT ON COLUMN phase_changes.overrides IS 'Gates that were passed although they were not green: {"gate": "reason"}.';
COMMENT ON COLUMN phase_changes.gates IS 'The gates as they were measured: [{"name", "value", "wanted", "is_green", "missing"}].';
COMMENT ON COLUMN phase_changes.was IS 'What was counted in both systems before.';
COMMENT ON COLUMN phase_changes.became IS 'What was counted afterwards.';

CREATE TABLE parity_checks (
    id uuid PRIMARY KEY,
    checked_at timestamptz NOT NULL DEFAULT now(),
    phase text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL DEFAULT 'notion',
    sampled bigint NOT NULL DEFAULT 0,
    equal_count bigint NOT NULL DEFAULT 0,
    mismatched bigint NOT NULL DEFAULT 0,
    on_their_way bigint NOT NULL DEFAULT 0,
    details jsonb NOT NULL DEFAULT '[]'
);

CREATE INDEX parity_checks_latest ON parity_checks (target, checked_at DESC);

COMMENT ON TABLE parity_checks IS 'Samples of entities read in both systems and compared.';
COMMENT ON COLUMN parity_checks.phase IS 'The phase in force then, such as dual_write.';
COMMENT ON COLUMN parity_checks.target IS 'The other system, such as notion.';
COMMENT ON COLUMN parity_checks.sampled IS 'Entities that were read in both.';
COMMENT ON COLUMN parity_checks.equal_count IS 'Those of which both say the same.';
COMMENT ON COLUMN parity_checks.mismatched IS 'Those of which they do not.';
COMMENT ON COLUMN parity_checks.on_their_way IS 'Those with changes in the outbox, which do not count as mismatched.';
COMMENT ON COLUMN parity_checks.details IS 'The mismatches: [{"entity_type", "entity_id", "name", "properties"}].';
