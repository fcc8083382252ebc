SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- What other systems were told, page by page, and how both sides compared.
-- Local tables, like the outbox that they belong to.

CREATE TABLE mirrors (
    target text COLLATE "C" NOT NULL DEFAULT 'notion',
    entity_type text COLLATE "C" NOT NULL,
    entity_id uuid NOT NULL,
    page_id text COLLATE "C",
    delivered_at timestamptz,
    intent_at timestamptz,
    trashed_at timestamptz,
    edited_at timestamptz,
    conflict_at timestamptz,
    properties jsonb NOT NULL DEFAULT '{}',
    properties_sha256 text COLLATE "C",
    intended jsonb,
    conflict jsonb,
    PRIMARY KEY (entity_id, entity_type, target)
);

ALTER TABLE mirrors ADD CONSTRAINT mirrors_properties_object CHECK (jsonb_typeof(properties) = 'object');
ALTER TABLE mirrors ADD CONSTRAINT mirrors_intended_object CHECK (jsonb_typeof(intended) = 'object');
ALTER TABLE mirrors ADD CONSTRAINT mirrors_conflict_object CHECK (jsonb_typeof(conflict) = 'object');
ALTER TABLE mirrors ADD CONSTRAINT mirrors_conflict_dated CHECK ((conflict IS NULL) = (conflict_at IS NULL));
CREATE UNIQUE INDEX mirrors_page_id_unique ON mirrors (target, page_id) WHERE page_id IS NOT NULL;
CREATE INDEX mirrors_conflicts ON mirrors (target, entity_type) WHERE conflict IS NOT NULL;
CREATE INDEX mirrors_intents ON mirrors (target, entity_type) WHERE intent_at IS NOT NULL;

COMMENT ON TABLE mirrors IS 'How far another system shows an entity: its page there, and what was last delivered to it. A row outlives its entity.';
COMMENT ON COLUMN mirrors.target IS 'The system, such as notion.';
COMMENT ON COLUMN mirrors.entity_type IS 'Table of the entity, such as datasets.';
COMMENT ON COLUMN mirrors.page_id IS 'Its page; NULL before the first delivery.';
COMMENT ON COLUMN mirrors.delivered_at IS 'When the page last became what properties say.';
COMMENT ON COLUMN mirrors.intent_at IS 'A page was asked for and it is not known whether it was made: it is looked for before another one is.';
COMMENT ON COLUMN mirrors.trashed_at IS 'When the page was put into the trash because the entity is gone.';
COMMENT ON COLUMN mirrors.edited_at IS 'The page''s last_edited_time as it was last seen; the other system rounds it down to the minute.';
COMMENT ON COLUMN mirrors.properties IS 'What was last delivered, by property.';
COMMENT ON COLUMN mirrors.properties_sha256 IS 'SHA-256 of what was wanted of the page then, hexadecimal.';
COMMENT ON COLUMN mirrors.intended IS 'What was being written when its outcome got lost: the page may say this or what properties say, and both are ours.';
COMMENT ON COLUMN mirrors.conflict IS 'Properties that people changed in the page and that were therefore kept: {"property": {"delivered": ..., "page": ..., "wanted": ...}}.';

-- Two relays never write one entity at a time, whatever they see of each other's claims.
CREATE UNIQUE INDEX outbox_one_writer ON outbox (entity_id, entity_type, target) WHERE state = 'running';

ALTER TABLE outbox ADD COLUMN waits_for uuid;
CREATE INDEX outbox_waits_for ON outbox (waits_for) WHERE waits_for IS NOT NULL AND state = 'pending';
COMMENT ON COLUMN outbox.waits_for IS 'The entity without a page yet that this one''s page refers to.';

CREATE TABLE reconciliations (
    id uuid PRIMARY KEY,
    run_id uuid,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    target text COLLATE "C" NOT NULL DEFAULT 'notion',
    entity_type text COLLATE "C" NOT NULL,
    phase text COLLATE "C" NOT NULL,
    fix text COLLATE "C",
    entities bigint NOT NULL DEFAULT 0,
    pages bigint NOT NULL DEFAULT 0,
    equal_count bigint NOT NULL DEFAULT 0,
    missing bigint NOT NULL DEFAULT 0,
    extra bigint NOT NULL DEFAULT 0,
    differing bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    on_their_way bigint NOT NULL DEFAULT 0,
    fixed bigint NOT NULL DEFAULT 0,
    is_complete boolean NOT NULL DEFAULT false
);

ALTER TABLE reconciliations ADD CONSTRAINT reconciliations_fix_known CHECK (fix IN ('notion', 'postgres'));
CREATE INDEX reconciliations_latest ON reconciliations (target, entity_type, started_at DESC);
CREATE INDEX reconciliations_run_id ON reconciliations (run_id) WHERE run_id IS NOT NULL;

COMMENT ON TABLE reconciliations IS 'Comparisons of both systems, one row per type of entity: the numbers that phases are judged by.';
COMMENT ON COLUMN reconciliations.run_id IS 'The run that compared; the rows of one run belong together.';
COMMENT ON COLUMN reconciliations.phase IS 'The phase in force then, such as dual_write.';
COMMENT ON COLUMN reconciliations.fix IS 'The side that was changed where they differed; NULL when none was.';
COMMENT ON COLUMN reconciliations.entities IS 'Entities in Postgres.';
COMMENT ON COLUMN reconciliations.pages IS 'Live pages in the other system.';
COMMENT ON COLUMN reconciliations.equal_count IS 'Entities whose one page says the same.';
COMMENT ON COLUMN reconciliations.missing IS 'Entities without a page.';
COMMENT ON COLUMN reconciliations.extra IS 'Pages without an entity.';
COMMENT ON COLUMN reconciliations.differing IS 'Entities whose page says something else.';
COMMENT ON COLUMN reconciliations.duplicates IS 'Pages beyond the first one of an entity.';
COMMENT ON COLUMN reconciliations.on_their_way IS 'Entities that lie in the outbox; they do not count as missing or differing.';
COMMENT ON COLUMN reconciliations.fixed IS 'Differences that were repaired, or put into the outbox to be.';
COMMENT ON COLUMN reconciliations.is_complete IS 'Both sides were read to the end.';

CREATE TABLE reconciliation_findings (
    reconciliation_id uuid NOT NULL,
    position bigint NOT NULL,
    entity_id uuid,
    page_id text COLLATE "C",
    finding text COLLATE "C" NOT NULL,
    is_fixed boolean NOT NULL DEFAULT false,
    details jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (reconciliation_id, position)
);

ALTER TABLE reconciliation_findings ADD CONSTRAINT reconciliation_findings_reconciliation_id_fkey
    FOREIGN KEY (reconciliation_id) REFERENCES reconciliations (id) ON DELETE CASCADE;
ALTER TABLE reconciliation_findings ADD CONSTRAINT reconciliation_findings_finding_known
    CHECK (finding IN ('missing', 'extra', 'differing', 'duplicate'));
CREATE INDEX reconciliation_findings_entity_id ON reconciliation_findings (entity_id) WHERE entity_id IS NOT NULL;

COMMENT ON TABLE reconciliation_findings IS 'What a comparison found, one row per entity or page that is not as it should be.';
COMMENT ON COLUMN reconciliation_findings.finding IS 'missing (page), extra (page), differing or duplicate (page).';
COMMENT ON COLUMN reconciliation_findings.details IS 'For differing: {"property": {"delivered": ..., "page": ..., "wanted": ...}}; else names for people.';

CREATE TABLE narratives (
    entity_type text COLLATE "C" NOT NULL,
    entity_id uuid NOT NULL,
    page_id text COLLATE "C" NOT NULL,
    run_id uuid,
    edited_at timestamptz,
    taken_at timestamptz NOT NULL DEFAULT now(),
    markdown text NOT NULL,
    markdown_sha256 text COLLATE "C" NOT NULL,
    PRIMARY KEY (entity_id, entity_type)
);

CREATE INDEX narratives_run_id ON narratives (run_id) WHERE run_id IS NOT NULL;

COMMENT ON TABLE narratives IS 'What people wrote about an entity in the body of its page, as Markdown.';
COMMENT ON COLUMN narratives.entity_type IS 'Table of the entity, such as experiments.';
COMMENT ON COLUMN narratives.page_id IS 'The page it was taken from.';
COMMENT ON COLUMN narratives.run_id IS 'The run that took it.';
COMMENT ON COLUMN narratives.edited_at IS 'The page''s last_edited_time then.';
