SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Signatures: named sets of features with direction and weight, and how well
-- datasets match them.

CREATE TABLE signatures (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL DEFAULT '',
    signature_type text COLLATE "C",
    source text COLLATE "C",
    source_sha256 text COLLATE "C",
    description text,
    organism text[] NOT NULL DEFAULT '{}',
    disease text[] NOT NULL DEFAULT '{}',
    matrix text[] NOT NULL DEFAULT '{}',
    component_count integer NOT NULL DEFAULT 0,
    run_id uuid,
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE signatures ADD CONSTRAINT signatures_name_version_unique UNIQUE (name, version);
ALTER TABLE signatures ADD CONSTRAINT signatures_name_not_empty CHECK (name <> '');
ALTER TABLE signatures ADD CONSTRAINT signatures_component_count_not_negative
    CHECK (component_count >= 0);
ALTER TABLE signatures ADD CONSTRAINT signatures_external_ids_object
    CHECK (jsonb_typeof(external_ids) = 'object');
CREATE UNIQUE INDEX signatures_notion_page_id_unique ON signatures (notion_page_id)
    WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE signatures IS 'A named set of features that move together; may mix omics types.';
COMMENT ON COLUMN signatures.version IS 'Version as its source names it; empty when it has none.';
COMMENT ON COLUMN signatures.signature_type IS 'Such as consortium, literature, discovered.';
COMMENT ON COLUMN signatures.source IS 'File, URL or publication.';
COMMENT ON COLUMN signatures.source_sha256 IS 'SHA-256 of the source file, hexadecimal.';
COMMENT ON COLUMN signatures.component_count IS 'Number of components, unmatched ones included.';
COMMENT ON COLUMN signatures.run_id IS 'The run that made it (runs.id).';

CREATE TABLE signature_components (
    id uuid PRIMARY KEY,
    signature_id uuid NOT NULL,
    feature_key bigint,
    weight double precision NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    position integer NOT NULL,
    direction smallint,
    feature_type text COLLATE "C",
    raw_name text COLLATE "C" NOT NULL,
    rule text COLLATE "C",
    level text COLLATE "C",
    aside jsonb,
    notion_page_id text COLLATE "C",
    external_ids jsonb NOT NULL DEFAULT '{}'
);

ALTER TABLE signature_components ADD CONSTRAINT signature_components_position_unique
    UNIQUE (signature_id, position);
ALTER TABLE signature_components ADD CONSTRAINT signature_components_position_positive
    CHECK (position > 0);
ALTER TABLE signature_components ADD CONSTRAINT signature_components_direction_known
    CHECK (direction IN (-1, 1));
ALTER TABLE signature_components ADD CONSTRAINT signature_components_weight_finite
    CHECK (weight > '-Infinity' AND weight < 'Infinity');
ALTER TABLE signature_components ADD CONSTRAINT signature_components_signature_id_fkey
    FOREIGN KEY (signature_id) REFERENCES signatures (id);
ALTER TABLE signature_components ADD CONSTRAINT signature_components_feature_key_fkey
    FOREIGN KEY (feature_key) REFERENCES features (key);
CREATE INDEX signature_components_feature_key ON signature_components (feature_key)
    WHERE feature_key IS NOT NULL;
CREATE UNIQUE INDEX signature_components_notion_page_id_unique
    ON signature_components (notion_page_id) WHERE notion_page_id IS NOT NULL;

COMMENT ON TABLE signature_components IS 'The members of a signature, in the order of its source.';
COMMENT ON COLUMN signature_components.position IS 'Place in the source, from 1.';
COMMENT ON COLUMN signature_components.feature_key IS 'features.key; NULL when no reader understood the name.';
COMMENT ON COLUMN signature_components.direction IS '1 up, -1 down, NULL not stated.';
COMMENT ON COLUMN signature_components.weight IS 'Relative weight, without unit.';
COMMENT ON COLUMN signature_components.raw_name IS 'The name as it stood in the source.';
COMMENT ON COLUMN signature_components.rule IS 'The rule that read the name.';
COMMENT ON COLUMN signature_components.level IS 'The level at which the name names the feature.';
COMMENT ON COLUMN signature_components.aside IS 'What was set aside while reading.';

CREATE TABLE program_signatures (
    program_id uuid NOT NULL,
    signature_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (program_id, signature_id)
);

ALTER TABLE program_signatures ADD CONSTRAINT program_signatures_program_id_fkey
    FOREIGN KEY (program_id) REFERENCES programs (id);
ALTER TABLE program_signatures ADD CONSTRAINT program_signatures_signature_id_fkey
    FOREIGN KEY (signature_id) REFERENCES signatures (id);
CREATE INDEX program_signatures_signature_id ON program_signatures (signature_id);

COMMENT ON TABLE program_signatures IS 'Signatures that matter to a program.';

-- A million scores are nothing special (1,000 datasets by 1,000 signatures): like
-- measurements they lead with dataset_id and carry no foreign key.
CREATE TABLE dataset_signatures (
    dataset_id uuid NOT NULL,
    signature_id uuid NOT NULL,
    run_id uuid,
    score double precision,
    p_value double precision,
    coverage double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    revision integer NOT NULL,
    matched_count integer,
    component_count integer,
    is_match boolean,
    method text COLLATE "C" NOT NULL,
    method_version text COLLATE "C" NOT NULL,
    contrast text COLLATE "C" NOT NULL DEFAULT '',
    level text COLLATE "C",
    input_sha256 text COLLATE "C" NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    details jsonb,
    PRIMARY KEY (dataset_id, revision, signature_id, method, contrast)
);

CREATE INDEX dataset_signatures_signature_id ON dataset_signatures (signature_id, score);

COMMENT ON TABLE dataset_signatures IS 'How well a revision of a dataset matches a signature, by method and contrast.';
COMMENT ON COLUMN dataset_signatures.score IS 'Score on the scale of its method; NULL when nothing matched.';
COMMENT ON COLUMN dataset_signatures.p_value IS 'Against random signatures of the same size and feature type; NULL when not computed.';
COMMENT ON COLUMN dataset_signatures.coverage IS 'Matched weight over total weight, 0 to 1.';
COMMENT ON COLUMN dataset_signatures.matched_count IS 'Components found in the dataset.';
COMMENT ON COLUMN dataset_signatures.component_count IS 'Components of the signature.';
COMMENT ON COLUMN dataset_signatures.is_match IS 'Whether the score reached the threshold among the parameters.';
COMMENT ON COLUMN dataset_signatures.method IS 'Name of the scoring method, such as concordance or legacy.';
COMMENT ON COLUMN dataset_signatures.contrast IS 'Name of the contrast scored; empty when the dataset has only one without a name.';
COMMENT ON COLUMN dataset_signatures.level IS 'The weakest level at which components matched.';
COMMENT ON COLUMN dataset_signatures.input_sha256 IS 'SHA-256 of everything the score was computed from, hexadecimal.';
COMMENT ON COLUMN dataset_signatures.parameters IS 'Parameters of the method: threshold, seed, permutations, ....';
