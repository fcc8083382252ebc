SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Compounds and screening.  Results are written in bulk, a campaign at a time (a
-- million wells are nothing special), so they follow measurements: numbered
-- revisions of a campaign, keyed by campaign first, no foreign key.

CREATE TABLE compounds (
    id uuid PRIMARY KEY,
    code text COLLATE "C",
    name text COLLATE "C" NOT NULL,
    smiles text COLLATE "C",
    inchi text COLLATE "C",
    inchi_key text COLLATE "C",
    cas_number text COLLATE "C",
    chembl_id text COLLATE "C",
    pubchem_cid bigint,
    formula text COLLATE "C",
    molecular_weight double precision,
    exact_mass double precision,
    attributes jsonb NOT NULL DEFAULT '{}',
    description text,
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE compounds ADD CONSTRAINT compounds_name_not_empty CHECK (name <> '');
ALTER TABLE compounds ADD CONSTRAINT compounds_external_ids_object
    CHECK (jsonb_typeof(external_ids) = 'object');
CREATE UNIQUE INDEX compounds_code_unique ON compounds (code) WHERE code IS NOT NULL;
CREATE INDEX compounds_name ON compounds (name);
CREATE INDEX compounds_inchi_key ON compounds (inchi_key) WHERE inchi_key IS NOT NULL;
CREATE UNIQUE INDEX compounds_notion_page_id_unique ON compounds (notion_page_id)
    WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE compounds IS 'Chemical compounds.';
COMMENT ON COLUMN compounds.code IS 'The lab''s own compound id.';
COMMENT ON COLUMN compounds.inchi_key IS 'Not unique: duplicates are reported, not refused.';
COMMENT ON COLUMN compounds.molecular_weight IS 'Average molecular weight in g/mol.';
COMMENT ON COLUMN compounds.exact_mass IS 'Monoisotopic mass in Da.';

CREATE TABLE program_compounds (
    program_id uuid NOT NULL,
    compound_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (program_id, compound_id)
);

ALTER TABLE program_compounds ADD CONSTRAINT program_compounds_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
ALTER TABLE program_compounds ADD CONSTRAINT program_compounds_compound_id_fkey
    FOREIGN KEY (compound_id) REFERENCES compounds (id);
CREATE INDEX program_compounds_compound_id ON program_compounds (compound_id);

COMMENT ON TABLE program_compounds IS 'Compounds that a program works with.';

CREATE TABLE screening_campaigns (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    program_id uuid,
    experiment_id uuid,
    current_revision integer,
    assay_type text COLLATE "C",
    target text COLLATE "C",
    readout text COLLATE "C",
    unit text COLLATE "C",
    direction text COLLATE "C",
    hit_rule jsonb,
    controls jsonb NOT NULL DEFAULT '{}',
    organism text[] NOT NULL DEFAULT '{}',
    model_systems text[] NOT NULL DEFAULT '{}',
    description text,
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_name_unique UNIQUE (name);
ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_name_not_empty CHECK (name <> '');
ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_current_revision_positive
    CHECK (current_revision > 0);
ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_direction_known
    CHECK (direction IN ('inhibition', 'activation'));
ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_external_ids_object
    CHECK (jsonb_typeof(external_ids) = 'object');
ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
ALTER TABLE screening_campaigns ADD CONSTRAINT screening_campaigns_experiment_id_fkey
    FOREIGN KEY (experiment_id) REFERENCES experiments (id);
CREATE INDEX screening_campaigns_program_id ON screening_campaigns (program_id)
    WHERE program_id IS NOT NULL;
CREATE INDEX screening_campaigns_experiment_id ON screening_campaigns (experiment_id)
    WHERE experiment_id IS NOT NULL;
CREATE UNIQUE INDEX screening_campaigns_notion_page_id_unique
    ON screening_campaigns (notion_page_id) WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE screening_campaigns IS 'One screen; declares what a value means and what counts as a hit.';
COMMENT ON COLUMN screening_campaigns.current_revision IS 'The revision of its results that counts; NULL before the first one.';
COMMENT ON COLUMN screening_campaigns.readout IS 'What the value is, such as luminescence.';
COMMENT ON COLUMN screening_campaigns.unit IS 'Unit of the raw value, where the rows do not say.';
COMMENT ON COLUMN screening_campaigns.direction IS 'inhibition or activation; NULL when not declared.';
COMMENT ON COLUMN screening_campaigns.hit_rule IS 'What counts as a hit, as declared; NULL means that no row is called one.';
COMMENT ON COLUMN screening_campaigns.controls IS 'How control wells are known: {"positive": ..., "negative": ...}.';

CREATE TABLE screening_results (
    campaign_id uuid NOT NULL,
    ordinal bigint NOT NULL,
    compound_id uuid,
    value double precision,
    percent_effect double precision,
    concentration_m double precision,
    revision integer NOT NULL,
    is_hit boolean,
    measure text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    relation text COLLATE "C",
    unit text COLLATE "C",
    plate text COLLATE "C",
    well text COLLATE "C",
    source_name text COLLATE "C",
    cells jsonb,
    PRIMARY KEY (campaign_id, revision, ordinal)
);

ALTER TABLE screening_results ADD CONSTRAINT screening_results_role_known
    CHECK (role IN ('sample', 'positive', 'negative', 'blank', 'empty', 'excluded'));
ALTER TABLE screening_results ADD CONSTRAINT screening_results_relation_known
    CHECK (relation IN ('=', '<', '<=', '>', '>=', '~'));
CREATE INDEX screening_results_compound_id ON screening_results (compound_id)
    WHERE compound_id IS NOT NULL;

COMMENT ON TABLE screening_results IS 'One row per well, or per derived quantity of a compound (IC50, EC50).';
COMMENT ON COLUMN screening_results.ordinal IS 'Place of the row among the data rows of the source, from 1.';
COMMENT ON COLUMN screening_results.compound_id IS 'compounds.id; NULL for controls and for what could not be read.';
COMMENT ON COLUMN screening_results.value IS 'The number as measured, in unit.';
COMMENT ON COLUMN screening_results.percent_effect IS 'Percent inhibition or activation against the plate''s controls; NULL without controls.';
COMMENT ON COLUMN screening_results.concentration_m IS 'Concentration in mol/L.';
COMMENT ON COLUMN screening_results.is_hit IS 'By the campaign''s hit rule; NULL when it declares none.';
COMMENT ON COLUMN screening_results.measure IS 'What the value is: raw, ic50, ec50, ....';
COMMENT ON COLUMN screening_results.role IS 'sample, positive, negative, blank, empty or excluded.';
COMMENT ON COLUMN screening_results.relation IS '=, <, <=, >, >= or ~ before the value; NULL means =.';
COMMENT ON COLUMN screening_results.source_name IS 'The compound''s name or id as it stood in the source.';
COMMENT ON COLUMN screening_results.cells IS 'Cells kept verbatim: {"<column>": "text"}.';
