SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Programs, experiments and datasets: what a lab calls its work by.
--
-- Ids are made by the client.  Names compare byte by byte (COLLATE "C"), so that
-- an index serves equality and prefixes alike and no upgrade of the operating
-- system's locale can disorder it.  updated_at is written by whoever updates.

CREATE TABLE programs (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    description text,
    disease text[] NOT NULL DEFAULT '{}',
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE programs ADD CONSTRAINT programs_name_unique UNIQUE (name);
ALTER TABLE programs ADD CONSTRAINT programs_name_not_empty CHECK (name <> '');
ALTER TABLE programs ADD CONSTRAINT programs_external_ids_object
    CHECK (jsonb_typeof(external_ids) = 'object');
CREATE UNIQUE INDEX programs_notion_page_id_unique ON programs (notion_page_id)
    WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE programs IS 'A line of research; experiments, datasets, signatures and compounds belong to it.';
COMMENT ON COLUMN programs.id IS 'UUIDv7 made by the client, or the id it had elsewhere.';
COMMENT ON COLUMN programs.disease IS 'Disease terms.';
COMMENT ON COLUMN programs.notion_page_id IS 'The Notion page that shows this program; NULL when there is none.';
COMMENT ON COLUMN programs.external_ids IS 'Ids in other systems: {"system": "id"}.';

CREATE TABLE experiments (
    id uuid PRIMARY KEY,
    program_id uuid,
    name text COLLATE "C" NOT NULL,
    description text,
    experiment_type text COLLATE "C",
    disease text[] NOT NULL DEFAULT '{}',
    matrix text[] NOT NULL DEFAULT '{}',
    model_systems text[] NOT NULL DEFAULT '{}',
    targets text[] NOT NULL DEFAULT '{}',
    modality text[] NOT NULL DEFAULT '{}',
    stage text COLLATE "C",
    design jsonb NOT NULL DEFAULT '{}',
    sample_groups jsonb NOT NULL DEFAULT '{}',
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE experiments ADD CONSTRAINT experiments_name_unique UNIQUE (name);
ALTER TABLE experiments ADD CONSTRAINT experiments_name_not_empty CHECK (name <> '');
ALTER TABLE experiments ADD CONSTRAINT experiments_design_object
    CHECK (jsonb_typeof(design) = 'object');
ALTER TABLE experiments ADD CONSTRAINT experiments_sample_groups_object
    CHECK (jsonb_typeof(sample_groups) = 'object');
ALTER TABLE experiments ADD CONSTRAINT experiments_external_ids_object
    CHECK (jsonb_typeof(external_ids) = 'object');
ALTER TABLE experiments ADD CONSTRAINT experiments_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
CREATE INDEX experiments_program_id ON experiments (program_id);
CREATE UNIQUE INDEX experiments_notion_page_id_unique ON experiments (notion_page_id)
    WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE experiments IS 'One experiment; its datasets are what was measured in it.';
COMMENT ON COLUMN experiments.program_id IS 'The program it belongs to first of all; further ones stand in program_experiments.';
COMMENT ON COLUMN experiments.experiment_type IS 'Such as in_vivo, in_vitro, clinical.';
COMMENT ON COLUMN experiments.matrix IS 'What was sampled, such as plasma, liver, medium.';
COMMENT ON COLUMN experiments.model_systems IS 'Such as a mouse strain or a cell line.';
COMMENT ON COLUMN experiments.targets IS 'Molecular targets.';
COMMENT ON COLUMN experiments.modality IS 'Modalities of treatment, such as small_molecule or antibody.';
COMMENT ON COLUMN experiments.stage IS 'Stage of the work, such as discovery or preclinical.';
COMMENT ON COLUMN experiments.design IS 'The design as an object: factors, time points, doses with their units.';
COMMENT ON COLUMN experiments.sample_groups IS 'Groups of samples: {"group": ["sample", ...]}.';
COMMENT ON COLUMN experiments.external_ids IS 'Ids in other systems: {"system": "id"}.';

CREATE TABLE datasets (
    id uuid PRIMARY KEY,
    omics_type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    current_revision integer,
    program_id uuid,
    experiment_id uuid,
    organism text[] NOT NULL DEFAULT '{}',
    disease text[] NOT NULL DEFAULT '{}',
    sample_type text[] NOT NULL DEFAULT '{}',
    matrix text[] NOT NULL DEFAULT '{}',
    model_systems text[] NOT NULL DEFAULT '{}',
    description text,
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The name comes first, so that a name alone, or its start, finds the dataset.
ALTER TABLE datasets ADD CONSTRAINT datasets_omics_type_name_unique UNIQUE (name, omics_type);
ALTER TABLE datasets ADD CONSTRAINT datasets_name_not_empty CHECK (name <> '');
ALTER TABLE datasets ADD CONSTRAINT datasets_omics_type_not_empty CHECK (omics_type <> '');
ALTER TABLE datasets ADD CONSTRAINT datasets_current_revision_positive CHECK (current_revision > 0);
ALTER TABLE datasets ADD CONSTRAINT datasets_external_ids_object
    CHECK (jsonb_typeof(external_ids) = 'object');
ALTER TABLE datasets ADD CONSTRAINT datasets_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
ALTER TABLE datasets ADD CONSTRAINT datasets_experiment_id_fkey
    FOREIGN KEY (experiment_id) REFERENCES experiments (id);
CREATE INDEX datasets_program_id ON datasets (program_id) WHERE program_id IS NOT NULL;
CREATE INDEX datasets_experiment_id ON datasets (experiment_id) WHERE experiment_id IS NOT NULL;
CREATE UNIQUE INDEX datasets_notion_page_id_unique ON datasets (notion_page_id)
    WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE datasets IS 'One table of omics data under one name; its content stands in numbered revisions.';
COMMENT ON COLUMN datasets.id IS 'UUIDv7 made by the client, or the id it had elsewhere.';
COMMENT ON COLUMN datasets.omics_type IS 'lipidomics, metabolomics, proteomics, transcriptomics, or what a recipe declares.';
COMMENT ON COLUMN datasets.name IS 'Unique within its omics type.';
COMMENT ON COLUMN datasets.current_revision IS 'The revision that counts; NULL before the first one. Going back is changing this number.';
COMMENT ON COLUMN datasets.program_id IS 'The program it belongs to first of all; further ones stand in program_datasets.';
COMMENT ON COLUMN datasets.experiment_id IS 'The experiment it comes from first of all; further ones stand in experiment_datasets.';
COMMENT ON COLUMN datasets.organism IS 'Organisms, such as Homo sapiens.';
COMMENT ON COLUMN datasets.disease IS 'Disease terms.';
COMMENT ON COLUMN datasets.sample_type IS 'Such as tissue, biofluid, cells.';
COMMENT ON COLUMN datasets.matrix IS 'What was sampled, such as plasma, liver, medium.';
COMMENT ON COLUMN datasets.model_systems IS 'Such as a mouse strain or a cell line.';
COMMENT ON COLUMN datasets.notion_page_id IS 'The Notion page that shows this dataset; NULL when there is none.';
COMMENT ON COLUMN datasets.external_ids IS 'Ids in other systems: {"system": "id"}.';

CREATE TABLE program_experiments (
    program_id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (program_id, experiment_id)
);

ALTER TABLE program_experiments ADD CONSTRAINT program_experiments_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
ALTER TABLE program_experiments ADD CONSTRAINT program_experiments_experiment_id_fkey
    FOREIGN KEY (experiment_id) REFERENCES experiments (id);
CREATE INDEX program_experiments_experiment_id ON program_experiments (experiment_id);

COMMENT ON TABLE program_experiments IS 'Further programs of an experiment, beside experiments.program_id.';

CREATE TABLE program_datasets (
    program_id uuid NOT NULL,
    dataset_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (program_id, dataset_id)
);

ALTER TABLE program_datasets ADD CONSTRAINT program_datasets_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
ALTER TABLE program_datasets ADD CONSTRAINT program_datasets_dataset_id_fkey
    FOREIGN KEY (dataset_id) REFERENCES datasets (id);
CREATE INDEX program_datasets_dataset_id ON program_datasets (dataset_id);

COMMENT ON TABLE program_datasets IS 'Further programs of a dataset, beside datasets.program_id.';

CREATE TABLE experiment_datasets (
    experiment_id uuid NOT NULL,
    dataset_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (experiment_id, dataset_id)
);

ALTER TABLE experiment_datasets ADD CONSTRAINT experiment_datasets_experiment_id_fkey
    FOREIGN KEY (experiment_id) REFERENCES experiments (id);
ALTER TABLE experiment_datasets ADD CONSTRAINT experiment_datasets_dataset_id_fkey
    FOREIGN KEY (dataset_id) REFERENCES datasets (id);
CREATE INDEX experiment_datasets_dataset_id ON experiment_datasets (dataset_id);

COMMENT ON TABLE experiment_datasets IS 'Further experiments of a dataset, beside datasets.experiment_id.';
