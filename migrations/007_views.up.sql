SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- What an analyst reads.
--
-- Rows are spread by set-returning functions in the select list, in step with one
-- another: that runs as one pass over the measurements, needs no join per value,
-- and lets conditions on dataset_id, dataset, feature_key and feature reach the
-- indexes, with fresh statistics or none.

CREATE VIEW measurement_values AS
SELECT
    dataset_id,
    dataset,
    omics_type,
    revision,
    ordinal,
    feature_key,
    feature,
    feature_type,
    source_name,
    coalesce(column_sample, row_sample) AS sample,
    'sample'::text AS role,
    quantity,
    unit,
    value
FROM (
    SELECT
        m.dataset_id,
        d.name AS dataset,
        d.omics_type,
        m.revision,
        m.ordinal,
        m.feature_key,
        f.name AS feature,
        f.feature_type,
        m.source_name,
        m.texts[r.sample_text] AS row_sample,
        unnest(r.sample_names) AS column_sample,
        unnest(r.sample_quantities) AS quantity,
        unnest(r.sample_units) AS unit,
        unnest(m.values) AS value
    FROM datasets AS d
    JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
    JOIN measurements AS m ON m.dataset_id = r.dataset_id AND m.revision = r.revision
    LEFT JOIN features AS f ON f.key = m.feature_key
    WHERE m.values IS NOT NULL
) AS spread
WHERE column_sample IS NOT NULL OR row_sample IS NOT NULL AND quantity IS NOT NULL;

COMMENT ON VIEW measurement_values IS 'The long form: one row per feature and sample of every dataset''s current revision, of wide and long tables alike; value is NULL where it is missing.';
COMMENT ON COLUMN measurement_values.sample IS 'The sample: of its column, or of the row in a long table.';
COMMENT ON COLUMN measurement_values.quantity IS 'What was measured, where the file holds several quantities per sample or is long.';
COMMENT ON COLUMN measurement_values.unit IS 'Unit of the value, where the column states one.';

CREATE VIEW dataset_samples AS
SELECT
    d.id AS dataset_id,
    d.name AS dataset,
    d.omics_type,
    s.sample,
    s.attributes
FROM datasets AS d
JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (coalesce(c.entry ->> 'sample_id', c.entry ->> 'name'))
        coalesce(c.entry ->> 'sample_id', c.entry ->> 'name') AS sample,
        coalesce(c.entry -> 'sample', '{}') AS attributes
    FROM jsonb_array_elements(r.columns) AS c (entry)
    WHERE c.entry ->> 'role' = 'sample'
    UNION ALL
    SELECT named.key, named.value
    FROM jsonb_array_elements(r.columns) AS c (entry), jsonb_each(c.entry -> 'samples') AS named
    WHERE c.entry ->> 'role' = 'sample_name'
) AS s;

COMMENT ON VIEW dataset_samples IS 'The samples of every dataset''s current revision with what is known of them; those of a long table where a table of samples was given.';
COMMENT ON COLUMN dataset_samples.attributes IS 'Group, timepoint, dose, replicate, ..., by name.';

CREATE VIEW effects AS
SELECT
    dataset_id,
    dataset,
    omics_type,
    revision,
    ordinal,
    feature_key,
    feature,
    feature_type,
    source_name,
    contrast ->> 'name' AS contrast,
    values[(contrast ->> 'log2_fold_change')::integer] AS log2_fold_change,
    values[(contrast ->> 'p_value')::integer] AS p_value,
    values[(contrast ->> 'adjusted_p_value')::integer] AS adjusted_p_value,
    values[(contrast ->> 'base_mean')::integer] AS base_mean,
    values[(contrast ->> 'statistic')::integer] AS statistic,
    values[(contrast ->> 'standard_error')::integer] AS standard_error
FROM (
    SELECT
        m.dataset_id,
        d.name AS dataset,
        d.omics_type,
        m.revision,
        m.ordinal,
        m.feature_key,
        f.name AS feature,
        f.feature_type,
        m.source_name,
        m.values,
        jsonb_array_elements(r.contrasts) AS contrast
    FROM datasets AS d
    JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
    JOIN measurements AS m ON m.dataset_id = r.dataset_id AND m.revision = r.revision
    LEFT JOIN features AS f ON f.key = m.feature_key
    WHERE r.contrasts <> '[]'
) AS spread;

COMMENT ON VIEW effects IS 'The effect form: one row per feature and contrast of every dataset''s current revision; what the file does not hold is NULL.';
COMMENT ON COLUMN effects.contrast IS 'Name of the comparison as the columns give it; may be empty.';

CREATE VIEW dataset_overview AS
SELECT
    d.id,
    d.omics_type,
    d.name,
    p.name AS program,
    e.name AS experiment,
    d.current_revision AS revision,
    r.row_count,
    r.feature_count,
    r.sample_count,
    jsonb_array_length(r.contrasts) AS contrast_count,
    r.value_count,
    r.cell_count,
    r.recipe,
    r.source,
    r.run_id,
    d.created_at,
    r.created_at AS revised_at
FROM datasets AS d
LEFT JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
LEFT JOIN programs AS p ON p.id = d.program_id
LEFT JOIN experiments AS e ON e.id = d.experiment_id;

COMMENT ON VIEW dataset_overview IS 'One row per dataset with the figures of its current revision.';
