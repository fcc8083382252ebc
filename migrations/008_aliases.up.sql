SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Alias tables: which names mean the same gene, protein or metabolite, as HGNC, UniProt,
-- RefMet and others publish it.
--
-- Looking up is by a 64-bit key of feature type and folded name, because synonyms may be
-- longer than an index entry can be.  A table is replaced as a whole in one transaction,
-- so rows have no key of their own.  Both tables can be reference tables: ids are made by
-- the client and nothing refers to a local table.

CREATE TABLE alias_sources (
    source text COLLATE "C" PRIMARY KEY,
    run_id uuid,
    loaded_at timestamptz NOT NULL,
    name_count bigint NOT NULL,
    alias_count bigint NOT NULL,
    feature_type text COLLATE "C" NOT NULL,
    format text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    files jsonb NOT NULL DEFAULT '[]',
    arguments jsonb NOT NULL DEFAULT '{}'
);

ALTER TABLE alias_sources ADD CONSTRAINT alias_sources_source_not_empty CHECK (source <> '');

COMMENT ON TABLE alias_sources IS 'The alias tables that were loaded, one row each.';
COMMENT ON COLUMN alias_sources.source IS 'What the table is called here: its format, or the name it was loaded as.';
COMMENT ON COLUMN alias_sources.run_id IS 'The run that loaded it (runs.id).';
COMMENT ON COLUMN alias_sources.name_count IS 'Canonical names in it.';
COMMENT ON COLUMN alias_sources.alias_count IS 'Rows of name_aliases.';
COMMENT ON COLUMN alias_sources.feature_type IS 'gene, protein, metabolite or lipid.';
COMMENT ON COLUMN alias_sources.format IS 'How the files were written: hgnc, uniprot, refmet, ....';
COMMENT ON COLUMN alias_sources.version IS 'As given when it was loaded, else the day and the SHA-256 of the files.';
COMMENT ON COLUMN alias_sources.files IS '[{"path": ..., "sha256": ..., "bytes": ...}].';
COMMENT ON COLUMN alias_sources.arguments IS 'What else decided how it was read, such as the taxon.';

CREATE TABLE name_aliases (
    key bigint NOT NULL,
    source text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    folded text COLLATE "C" NOT NULL,
    alias text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL
);

CREATE INDEX name_aliases_key ON name_aliases (key);

COMMENT ON TABLE name_aliases IS 'What names mean. An alias of several names has several rows and stays ambiguous.';
COMMENT ON COLUMN name_aliases.key IS 'The first 8 bytes, big-endian and signed, of the SHA-256 of feature type, a NUL byte and the folded alias.';
COMMENT ON COLUMN name_aliases.source IS 'alias_sources.source.';
COMMENT ON COLUMN name_aliases.kind IS 'name (the canonical name itself), previous, alias or id.';
COMMENT ON COLUMN name_aliases.folded IS 'The alias in the form by which names are compared.';
COMMENT ON COLUMN name_aliases.alias IS 'The alias as the table has it.';
COMMENT ON COLUMN name_aliases.name IS 'The canonical name.';
