SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Revisions of a campaign's results, and what follows from each plate's controls.
--
-- Both lead with campaign_id, like the results themselves, and carry no foreign key.  A
-- revision keeps the declaration by which its percentages and hits were reckoned: when the
-- campaign declares otherwise, the same values make its next revision.

ALTER TABLE screening_results ADD COLUMN z_score double precision;
ALTER TABLE screening_results ADD COLUMN robust_z double precision;

COMMENT ON COLUMN screening_results.ordinal IS 'Place of the result, from 1: of the data rows of the source, times the columns that hold results.';
COMMENT ON COLUMN screening_results.is_hit IS 'By the hit rule of the revision; NULL when it declares none, for controls, and where a bound leaves it open.';
COMMENT ON COLUMN screening_results.z_score IS 'Standard deviations from the mean of the plate''s samples.';
COMMENT ON COLUMN screening_results.robust_z IS 'The same by median and scaled median absolute deviation.';

CREATE TABLE screening_revisions (
    campaign_id uuid NOT NULL,
    revision integer NOT NULL,
    derived_from integer,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    source_bytes bigint,
    row_count bigint NOT NULL DEFAULT 0,
    result_count bigint NOT NULL DEFAULT 0,
    value_count bigint NOT NULL DEFAULT 0,
    linked_count bigint NOT NULL DEFAULT 0,
    plate_count bigint NOT NULL DEFAULT 0,
    hit_count bigint,
    undecided_count bigint,
    direction text COLLATE "C",
    recipe text COLLATE "C",
    recipe_sha256 text COLLATE "C",
    source text COLLATE "C",
    source_sha256 text COLLATE "C",
    hit_rule jsonb,
    controls jsonb NOT NULL DEFAULT '{}',
    sources jsonb NOT NULL DEFAULT '[]',
    given jsonb NOT NULL DEFAULT '{}',
    doubts jsonb NOT NULL DEFAULT '[]',
    reckoning_doubts jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (campaign_id, revision)
);

COMMENT ON TABLE screening_revisions IS 'What a campaign''s results were read from, how, and by which declaration they were reckoned.';
COMMENT ON COLUMN screening_revisions.derived_from IS 'The revision whose values these are, reckoned anew; NULL when they were read from a source.';
COMMENT ON COLUMN screening_revisions.run_id IS 'The run that made it (runs.id).';
COMMENT ON COLUMN screening_revisions.source_bytes IS 'Size of all sources.';
COMMENT ON COLUMN screening_revisions.row_count IS 'Data rows of the sources.';
COMMENT ON COLUMN screening_revisions.value_count IS 'Results that have a number.';
COMMENT ON COLUMN screening_revisions.linked_count IS 'Results that name a compound that is known.';
COMMENT ON COLUMN screening_revisions.hit_count IS 'NULL when no hit rule was declared.';
COMMENT ON COLUMN screening_revisions.undecided_count IS 'Samples of which the hit rule says nothing: no value, no percentage, or a bound that leaves it open.';
COMMENT ON COLUMN screening_revisions.source_sha256 IS 'Of the source; of several, of the list of theirs.';
COMMENT ON COLUMN screening_revisions.hit_rule IS 'As it was declared: {"text": ..., "all": [condition, ...]}.';
COMMENT ON COLUMN screening_revisions.controls IS 'As the campaign declared them.';
COMMENT ON COLUMN screening_revisions.sources IS '[{"source", "sha256", "bytes", "rows", "first_ordinal", "columns": [{"position", "header", "field", "unit"}]}].';
COMMENT ON COLUMN screening_revisions.given IS 'What else decided how they were read.';
COMMENT ON COLUMN screening_revisions.doubts IS 'What was told of the reading.';
COMMENT ON COLUMN screening_revisions.reckoning_doubts IS 'What was told of plates, percentages and hits.';

CREATE TABLE screening_plates (
    campaign_id uuid NOT NULL,
    revision integer NOT NULL,
    ordinal integer NOT NULL,
    well_count integer NOT NULL,
    sample_count integer NOT NULL,
    positive_count integer NOT NULL,
    negative_count integer NOT NULL,
    hit_count integer,
    positive_mean double precision,
    positive_sd double precision,
    negative_mean double precision,
    negative_sd double precision,
    z_prime double precision,
    signal_window double precision,
    plate text COLLATE "C",
    reason text,
    PRIMARY KEY (campaign_id, revision, ordinal)
);

COMMENT ON TABLE screening_plates IS 'The plates of a revision with their controls and what these say of the assay.';
COMMENT ON COLUMN screening_plates.ordinal IS 'The order of their first rows.';
COMMENT ON COLUMN screening_plates.positive_count IS 'Positive controls with an exact value.';
COMMENT ON COLUMN screening_plates.positive_sd IS 'Standard deviation of a sample (n - 1); NULL below two wells.';
COMMENT ON COLUMN screening_plates.z_prime IS '1 - 3 (sd+ + sd-) / |mean+ - mean-|: Zhang, Chung and Oldenburg 1999, J Biomol Screen 4:67.';
COMMENT ON COLUMN screening_plates.signal_window IS '(mean_max - mean_min - 3 (sd_max + sd_min)) / sd_max: Assay Guidance Manual, single wells.';
COMMENT ON COLUMN screening_plates.reason IS 'Why there is no Z-prime.';

CREATE VIEW campaign_overview AS
SELECT
    c.id,
    c.name,
    p.name AS program,
    e.name AS experiment,
    c.assay_type,
    c.target,
    r.direction,
    r.hit_rule ->> 'text' AS hit_rule,
    c.current_revision AS revision,
    r.plate_count,
    r.result_count,
    r.value_count,
    r.hit_count,
    r.undecided_count,
    r.source,
    r.run_id,
    c.created_at,
    r.created_at AS revised_at
FROM screening_campaigns AS c
LEFT JOIN screening_revisions AS r ON r.campaign_id = c.id AND r.revision = c.current_revision
LEFT JOIN programs AS p ON p.id = c.program_id
LEFT JOIN experiments AS e ON e.id = c.experiment_id;

COMMENT ON VIEW campaign_overview IS 'One row per screening campaign with the figures of its current revision.';

CREATE VIEW campaign_plates AS
SELECT
    c.id AS campaign_id,
    c.name AS campaign,
    p.revision,
    p.ordinal,
    p.plate,
    p.well_count,
    p.sample_count,
    p.positive_count,
    p.positive_mean,
    p.positive_sd,
    p.negative_count,
    p.negative_mean,
    p.negative_sd,
    p.z_prime,
    p.signal_window,
    p.hit_count,
    p.reason
FROM screening_campaigns AS c
JOIN screening_plates AS p ON p.campaign_id = c.id AND p.revision = c.current_revision;

COMMENT ON VIEW campaign_plates IS 'The plates of every campaign''s current revision.';

CREATE VIEW campaign_results AS
SELECT
    c.id AS campaign_id,
    c.name AS campaign,
    s.revision,
    s.ordinal,
    s.plate,
    s.well,
    s.role,
    s.compound_id,
    k.code AS compound_code,
    k.name AS compound,
    s.source_name,
    s.measure,
    s.relation,
    s.value,
    s.unit,
    s.concentration_m,
    s.percent_effect,
    s.z_score,
    s.robust_z,
    s.is_hit,
    s.cells
FROM screening_campaigns AS c
JOIN screening_results AS s ON s.campaign_id = c.id AND s.revision = c.current_revision
LEFT JOIN compounds AS k ON k.id = s.compound_id;

COMMENT ON VIEW campaign_results IS 'The results of every campaign''s current revision, with the compounds'' names.';
