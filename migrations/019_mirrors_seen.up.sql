SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- What a page says of properties that are Notion's own.

ALTER TABLE mirrors ADD COLUMN seen jsonb;
ALTER TABLE mirrors ADD CONSTRAINT mirrors_seen_object CHECK (jsonb_typeof(seen) = 'object');

COMMENT ON COLUMN mirrors.seen IS 'What the page says of properties for which Postgres has no value yet, which are left to people: {"property": value}.';
