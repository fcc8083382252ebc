SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- All programs and experiments of a dataset, whether they stand in its row or in the tables
-- of further links; and ways to find a compound by what chemists call it.

CREATE VIEW dataset_programs AS
SELECT d.id AS dataset_id, d.name AS dataset, d.omics_type, p.id AS program_id, p.name AS program, l.is_main
FROM (
    SELECT id AS dataset_id, program_id, true AS is_main FROM datasets WHERE program_id IS NOT NULL
    UNION ALL
    SELECT dataset_id, program_id, false FROM program_datasets
) AS l
JOIN datasets AS d ON d.id = l.dataset_id
JOIN programs AS p ON p.id = l.program_id;

COMMENT ON VIEW dataset_programs IS 'One row per dataset and program that it belongs to.';
COMMENT ON COLUMN dataset_programs.is_main IS 'Whether it is the one in datasets.program_id.';

CREATE VIEW dataset_experiments AS
SELECT d.id AS dataset_id, d.name AS dataset, d.omics_type, e.id AS experiment_id, e.name AS experiment, l.is_main
FROM (
    SELECT id AS dataset_id, experiment_id, true AS is_main FROM datasets WHERE experiment_id IS NOT NULL
    UNION ALL
    SELECT dataset_id, experiment_id, false FROM experiment_datasets
) AS l
JOIN datasets AS d ON d.id = l.dataset_id
JOIN experiments AS e ON e.id = l.experiment_id;

COMMENT ON VIEW dataset_experiments IS 'One row per dataset and experiment that it comes from.';
COMMENT ON COLUMN dataset_experiments.is_main IS 'Whether it is the one in datasets.experiment_id.';

CREATE INDEX compounds_cas_number ON compounds (cas_number) WHERE cas_number IS NOT NULL;
CREATE INDEX compounds_chembl_id ON compounds (chembl_id) WHERE chembl_id IS NOT NULL;
