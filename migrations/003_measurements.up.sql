SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Revisions and measurements: nothing of a file is lost.
--
-- Both lead with dataset_id, by which they can be distributed.  Measurements have
-- no foreign key (it would cost four times the load itself) and one index beside
-- the primary key; a revision's rows are written in the transaction that writes
-- the revision, and `ligase doctor` checks them.

-- sample_names, sample_quantities and sample_units say what columns says, aligned with
-- measurements.values (NULL where a slot belongs to no sample), so that the long view
-- unnests them beside the values instead of taking the JSON apart for every row.  Of a
-- long table, where the sample stands in each row, sample_text says in which slot of
-- measurements.texts.  The client writes all; a generated column would cost a function
-- call per insert.
CREATE TABLE revisions (
    dataset_id uuid NOT NULL,
    revision integer NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    source_bytes bigint,
    row_count bigint NOT NULL DEFAULT 0,
    value_count bigint NOT NULL DEFAULT 0,
    feature_count bigint NOT NULL DEFAULT 0,
    cell_count bigint NOT NULL DEFAULT 0,
    recipe text COLLATE "C",
    recipe_sha256 text COLLATE "C",
    source text COLLATE "C",
    source_sha256 text COLLATE "C",
    dialect jsonb NOT NULL DEFAULT '{}',
    columns jsonb NOT NULL DEFAULT '[]',
    contrasts jsonb NOT NULL DEFAULT '[]',
    sample_names text[] COLLATE "C",
    sample_quantities text[] COLLATE "C",
    sample_units text[] COLLATE "C",
    sample_text integer,
    sample_count bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (dataset_id, revision)
);

ALTER TABLE revisions ALTER COLUMN sample_names SET STORAGE EXTERNAL;
ALTER TABLE revisions ALTER COLUMN sample_quantities SET STORAGE EXTERNAL;
ALTER TABLE revisions ALTER COLUMN sample_units SET STORAGE EXTERNAL;
ALTER TABLE revisions ADD CONSTRAINT revisions_revision_positive CHECK (revision > 0);
ALTER TABLE revisions ADD CONSTRAINT revisions_columns_array
    CHECK (jsonb_typeof(columns) = 'array');
ALTER TABLE revisions ADD CONSTRAINT revisions_contrasts_array
    CHECK (jsonb_typeof(contrasts) = 'array');
ALTER TABLE revisions ADD CONSTRAINT revisions_dialect_object
    CHECK (jsonb_typeof(dialect) = 'object');
ALTER TABLE revisions ADD CONSTRAINT revisions_dataset_id_fkey
    FOREIGN KEY (dataset_id) REFERENCES datasets (id);

COMMENT ON TABLE revisions IS 'One reading of one source into a dataset.';
COMMENT ON COLUMN revisions.revision IS 'Counts from 1 within the dataset.';
COMMENT ON COLUMN revisions.run_id IS 'The run that made it (runs.id).';
COMMENT ON COLUMN revisions.source_bytes IS 'Size of the source as read, in bytes.';
COMMENT ON COLUMN revisions.row_count IS 'Rows of measurements.';
COMMENT ON COLUMN revisions.value_count IS 'Numbers in measurements.values, missing ones left out.';
COMMENT ON COLUMN revisions.feature_count IS 'Distinct features linked.';
COMMENT ON COLUMN revisions.cell_count IS 'Cells kept verbatim in measurements.cells.';
COMMENT ON COLUMN revisions.recipe IS 'Name of the recipe that read it.';
COMMENT ON COLUMN revisions.recipe_sha256 IS 'SHA-256 of the recipe''s text, hexadecimal.';
COMMENT ON COLUMN revisions.source IS 'Path or URL.';
COMMENT ON COLUMN revisions.source_sha256 IS 'SHA-256 of the source''s bytes, hexadecimal.';
COMMENT ON COLUMN revisions.dialect IS 'What was detected: separator, encoding, header row, decimal mark, missing marks, ....';
COMMENT ON COLUMN revisions.columns IS 'The columns in file order: position, name, role (feature, sample, statistic, annotation), type (number, text), slot (place in values or texts), missing, unit, sample_id, statistic.';
COMMENT ON COLUMN revisions.contrasts IS 'Comparisons found among the statistic columns: name, and for each statistic its slot in values.';
COMMENT ON COLUMN revisions.sample_names IS 'Names of samples by slot in values, NULL for other columns.';
COMMENT ON COLUMN revisions.sample_quantities IS 'What was measured, by slot in values, where a file holds several quantities per sample or is long; NULL elsewhere.';
COMMENT ON COLUMN revisions.sample_text IS 'Of a long table, the slot in texts that names the sample; NULL for others.';
COMMENT ON COLUMN revisions.sample_count IS 'Distinct samples.';
COMMENT ON COLUMN revisions.sample_units IS 'Units of samples by slot in values; NULL when no column has one.';

-- Fixed-width columns first, widest alignment first; eight columns keep the null
-- bitmap within the 24-byte tuple header.
CREATE TABLE measurements (
    dataset_id uuid NOT NULL,
    ordinal bigint NOT NULL,
    feature_key bigint,
    revision integer NOT NULL,
    source_name text COLLATE "C",
    values double precision[],
    texts text[] COLLATE "C",
    cells jsonb,
    PRIMARY KEY (dataset_id, revision, ordinal)
);

ALTER TABLE measurements ALTER COLUMN values SET STORAGE EXTERNAL;
ALTER TABLE measurements ALTER COLUMN texts SET STORAGE EXTERNAL;
-- ANALYZE would sort millions of array elements for statistics that no plan uses.
ALTER TABLE measurements ALTER COLUMN values SET STATISTICS 0;
ALTER TABLE measurements ALTER COLUMN texts SET STATISTICS 0;
ALTER TABLE measurements ALTER COLUMN cells SET STATISTICS 0;
CREATE INDEX measurements_feature_key ON measurements (feature_key);

COMMENT ON TABLE measurements IS 'One row per row of a source file, duplicates included.';
COMMENT ON COLUMN measurements.dataset_id IS 'datasets.id.';
COMMENT ON COLUMN measurements.ordinal IS 'Place of the row among the data rows of the source, from 1.';
COMMENT ON COLUMN measurements.feature_key IS 'features.key; NULL when linking is off or the row has no name.';
COMMENT ON COLUMN measurements.source_name IS 'The feature''s name as it stood in the source; NULL when the cell was empty.';
COMMENT ON COLUMN measurements.values IS 'Numbers by slot (revisions.columns); NULL elements are missing. Units stand with the column.';
COMMENT ON COLUMN measurements.texts IS 'Texts by slot (revisions.columns).';
COMMENT ON COLUMN measurements.cells IS 'Cells that do not fit their column, verbatim: {"<position>": "<LOD"}.';
