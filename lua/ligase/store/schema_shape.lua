--- What a schema consists of, read from the catalogues, one thing after the other: quicker
--- than a dump, and with or without the order of columns, which no way back can restore.
--- What an extension brings along is its own business.
local M = {}

---@class ligase.SchemaThing
---@field kind string "table", "view", "column", "index", "constraint", ...
---@field name string a column's with its table's before it
---@field owner string the table or view that it goes with; its own name where there is none
---@field definition string what it is
---@field loose string what may differ without harm: comments, rights, storage parameters, the order of
--- columns, whether an index or constraint is valid
---@field statement? string SQL that makes it, for what holds no rows

local SHAPE = [[
  WITH mine AS (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.reloptions, c.relacl FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
  SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
      ELSE 'table' END AS kind, relname::text AS name,
    coalesce((SELECT refobjid::regclass::text FROM pg_depend AS d WHERE relkind = 'S' AND d.objid = mine.oid
        AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LIMIT 1), relname) AS owner,
    concat_ws(' ', CASE relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' END,
      CASE relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
      CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END) AS definition,
    concat_ws(' ', reloptions::text, relacl::text, 'comment ' || obj_description(oid, 'pg_class')) AS loose,
    CASE relkind WHEN 'v' THEN format('CREATE OR REPLACE VIEW %I AS %s', relname, pg_get_viewdef(oid))
      WHEN 'm' THEN format('CREATE MATERIALIZED VIEW %I AS %s', relname, pg_get_viewdef(oid)) END AS statement
  FROM mine
  UNION ALL
  SELECT 'column', relname || '.' || attname, relname, concat_ws(' ', format_type(atttypid, atttypmod), collname,
      CASE WHEN attnotnull THEN 'not null' END, attstorage, attidentity, attgenerated,
      'default ' || pg_get_expr(d.adbin, d.adrelid)),
    concat_ws(' ', CASE WHEN $1::boolean THEN (SELECT count(*) FROM pg_attribute AS b
        WHERE b.attrelid = mine.oid AND b.attnum <= a.attnum AND NOT b.attisdropped) END,
      'comment ' || col_description(mine.oid, attnum)),
    CASE WHEN relkind IN ('r', 'p') AND attidentity = '' THEN concat_ws(' ',
      format('ALTER TABLE %I ADD COLUMN %I %s', relname, attname, format_type(atttypid, atttypmod)),
      CASE WHEN a.attcollation <> t.typcollation THEN format('COLLATE %I', collname) END,
      CASE attgenerated WHEN '' THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        ELSE format('GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid)) END,
      CASE WHEN attnotnull THEN 'NOT NULL' END) || CASE WHEN attstorage <> typstorage THEN
        format(', ALTER COLUMN %I SET STORAGE %s', attname, CASE attstorage WHEN 'p' THEN 'PLAIN'
          WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) ELSE '' END END
  FROM mine JOIN pg_attribute AS a ON attrelid = mine.oid AND attnum > 0 AND NOT attisdropped
    JOIN pg_type AS t ON t.oid = atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = mine.oid AND d.adnum = a.attnum
    LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  UNION ALL
  SELECT 'index', i.relname, mine.relname, pg_get_indexdef(indexrelid),
    CASE WHEN indisvalid THEN '' ELSE '(not valid)' END, pg_get_indexdef(indexrelid)
  FROM pg_index JOIN mine ON mine.oid = indrelid JOIN pg_class AS i ON i.oid = indexrelid
  UNION ALL
  SELECT 'constraint', relname || '.' || conname, relname, replace(pg_get_constraintdef(k.oid), ' NOT VALID', ''),
    concat_ws(' ', CASE WHEN NOT convalidated THEN 'NOT VALID' END, obj_description(k.oid)),
    format('ALTER TABLE %I ADD CONSTRAINT %I %s', relname, conname,
      replace(pg_get_constraintdef(k.oid), ' NOT VALID', ''))
  FROM pg_constraint AS k JOIN mine ON mine.oid = conrelid
  UNION ALL
  SELECT 'trigger', relname || '.' || tgname, relname, pg_get_triggerdef(g.oid), '', pg_get_triggerdef(g.oid)
  FROM pg_trigger AS g JOIN mine ON mine.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL
  SELECT 'statistics', stxname, relname, stxkeys::text, '', pg_get_statisticsobjdef(s.oid)
  FROM pg_statistic_ext AS s JOIN mine ON mine.oid = stxrelid
  UNION ALL
  SELECT 'function', p.oid::regprocedure::text, p.oid::regprocedure::text,
    CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE prosrc END, obj_description(p.oid),
    CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) END
  FROM pg_proc AS p WHERE pronamespace = current_schema()::regnamespace AND NOT EXISTS (SELECT FROM pg_depend AS d
    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  UNION ALL
  SELECT 'type', typname, typname, concat_ws(' ', typtype, format_type(typbasetype, typtypmod),
    (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)), '', NULL
  FROM pg_type AS t WHERE typnamespace = current_schema()::regnamespace AND typtype IN ('e', 'd')
    AND NOT EXISTS (SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  UNION ALL
  SELECT 'extension', extname, extname, '', '', format('CREATE EXTENSION %I', extname) FROM pg_extension
  UNION ALL
  SELECT 'schema', nspname, nspname, '', '', NULL FROM pg_namespace WHERE nspname !~ '^pg_'
  ORDER BY 1, 2]]

local RECORD = "schema_migrations"

local function is_of_record(thing)
  return thing.owner == RECORD or thing.name == RECORD
end

--- The things of the current schema, by kind and name, without the record of steps.
---@param conn table
---@param with_order? boolean whether the order of columns counts
---@return ligase.SchemaThing[]
function M.things(conn, with_order)
  local things = {}
  for _, row in ipairs(conn:query(SHAPE, with_order == true)) do
    things[#things + 1] = not is_of_record(row) and row or nil
  end
  return things
end

--- The same as text, in which everything counts.
---@param conn table
---@param with_order? boolean whether the order of columns counts
---@return string one line after the other
function M.read(conn, with_order)
  local lines = {}
  for i, thing in ipairs(M.things(conn, with_order)) do
    local line = ("%s %s %s %s"):format(thing.kind, thing.name, thing.definition,
      type(thing.loose) == "string" and thing.loose or "")
    lines[i] = line:gsub("%s+", " "):gsub(" $", "")
  end
  return table.concat(lines, "\n")
end

return M
