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
    sample,
    'sample'::text AS role,
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
        unnest(r.sample_names) AS sample,
        unnest(r.sample_units) AS unit,
        unnest(m.values) AS value
    FROM datasets AS d
    JOIN revisions AS r ON r.dataset_id = d.id AND r.revision = d.current_revision
    JOIN measurements AS m ON m.dataset_id = r.dataset_id AND m.revision = r.revision
    LEFT JOIN features AS f ON f.key = m.feature_key
    WHERE m.values IS NOT NULL
) AS spread
WHERE sample IS NOT NULL;

COMMENT ON VIEW measurement_values IS 'The long form: one row per feature and sample of every dataset''s current revision; value is NULL where it is missing.';
COMMENT ON COLUMN measurement_values.sample IS 'Name of the sample column.';
COMMENT ON COLUMN measurement_values.unit IS 'Unit of the value, where the column states one.';

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
    (SELECT count(s) FROM unnest(r.sample_names) AS s) AS sample_count,
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
