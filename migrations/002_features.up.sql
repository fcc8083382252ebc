SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Features and the receipts for every name ever read.
--
-- A feature's id and key are computed from its type and canonical name, so that
-- linking asks the database nothing.  Receipts carry no foreign key: they are
-- written in bulk beside the features themselves, and `ligase doctor` checks them.

CREATE TABLE features (
    id uuid PRIMARY KEY,
    key bigint NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    feature_type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    level text COLLATE "C",
    attributes jsonb NOT NULL DEFAULT '{}',
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}'
);

ALTER TABLE features ADD CONSTRAINT features_key_unique UNIQUE (key);
-- The name comes first, so that a name alone, or its start, finds the feature.
ALTER TABLE features ADD CONSTRAINT features_feature_type_name_unique UNIQUE (name, feature_type);
ALTER TABLE features ADD CONSTRAINT features_name_not_empty CHECK (name <> '');
ALTER TABLE features ADD CONSTRAINT features_feature_type_not_empty CHECK (feature_type <> '');
CREATE UNIQUE INDEX features_notion_page_id_unique ON features (notion_page_id)
    WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE features IS 'What is measured: a lipid, metabolite, protein or gene under its canonical name.';
COMMENT ON COLUMN features.id IS 'UUIDv5 of feature type, a NUL byte and canonical name (docs/schema.md): every machine computes the same.';
COMMENT ON COLUMN features.key IS 'The first 8 bytes, big-endian and signed, of the SHA-256 of feature type, a NUL byte and canonical name; what measurements carry.';
COMMENT ON COLUMN features.run_id IS 'The run that met it first (runs.id), never deleted with it: other processes may remember them.';
COMMENT ON COLUMN features.feature_type IS 'lipid, metabolite, protein, gene, or what a recipe declares.';
COMMENT ON COLUMN features.name IS 'Canonical name, unique within its type.';
COMMENT ON COLUMN features.level IS 'How much the name says, such as species or molecular species for a lipid; NULL when it has no levels.';
COMMENT ON COLUMN features.attributes IS 'What follows from the name: class, category, sum formula, exact mass in Da, ....';
COMMENT ON COLUMN features.external_ids IS 'Ids in other systems: {"system": "id"}.';

-- A feature's key is computed from its type and name, so the type adds nothing to the
-- primary key; raw names may be longer than an index entry can be, so a hash stands for
-- them.  One index answers both "is this name known" and "by which names is this
-- feature known".
CREATE TABLE feature_names (
    feature_key bigint NOT NULL,
    raw_key bigint NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    feature_type text COLLATE "C" NOT NULL,
    raw_name text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    level text COLLATE "C",
    reason text,
    aside jsonb,
    candidates jsonb,
    PRIMARY KEY (feature_key, raw_key)
);

COMMENT ON TABLE feature_names IS 'Receipts: how each raw name was read. Two recipes may read one raw name differently, so the key is part of the primary key.';
COMMENT ON COLUMN feature_names.feature_key IS 'features.key.';
COMMENT ON COLUMN feature_names.raw_key IS 'The first 8 bytes, big-endian and signed, of the SHA-256 of the raw name.';
COMMENT ON COLUMN feature_names.run_id IS 'The run that read the name first (runs.id), never deleted with it: other processes may remember them.';
COMMENT ON COLUMN feature_names.raw_name IS 'The name as it stood in the file.';
COMMENT ON COLUMN feature_names.rule IS 'The rule that read it.';
COMMENT ON COLUMN feature_names.level IS 'The level at which the raw name names the feature.';
COMMENT ON COLUMN feature_names.reason IS 'Why the name was not understood; NULL when it was. Its feature then has the name as it stands.';
COMMENT ON COLUMN feature_names.candidates IS 'Canonical names that an ambiguous name may mean.';
COMMENT ON COLUMN feature_names.aside IS 'What was set aside while reading: adduct, label, isoform, version, ....';
