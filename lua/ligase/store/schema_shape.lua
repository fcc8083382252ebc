--- What a schema consists of, read from the catalogues, one line for each thing: quicker
--- than a dump, and with or without the order of columns, which no way back can restore.
local M = {}

local SHAPE = [[
  WITH mine AS (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.reloptions, c.relacl FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f'))
  SELECT concat_ws(' ', 'relation', relname, relkind, relpersistence, reloptions::text, relacl::text) AS line FROM mine
  UNION ALL
  SELECT concat_ws(' ', 'column', relname || '.' || attname, format_type(atttypid, atttypmod), collname,
    CASE WHEN $1::boolean THEN (SELECT count(*) FROM pg_attribute AS b
                                WHERE b.attrelid = mine.oid AND b.attnum <= a.attnum
                                  AND NOT b.attisdropped) END,
    CASE WHEN attnotnull THEN 'not null' END, attstorage, attidentity, attgenerated,
    'default ' || pg_get_expr(d.adbin, d.adrelid), 'comment ' || col_description(mine.oid, attnum))
  FROM mine JOIN pg_attribute AS a ON attrelid = mine.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = mine.oid AND d.adnum = a.attnum
    LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  UNION ALL
  SELECT concat_ws(' ', 'comment', relname, obj_description(oid, 'pg_class')) FROM mine
  WHERE obj_description(oid, 'pg_class') IS NOT NULL
  UNION ALL
  SELECT 'view ' || relname || ' ' || pg_get_viewdef(oid) FROM mine WHERE relkind IN ('v', 'm')
  UNION ALL
  SELECT pg_get_indexdef(indexrelid) || CASE WHEN indisvalid THEN '' ELSE ' (not valid)' END
  FROM pg_index JOIN mine ON mine.oid = indrelid
  UNION ALL
  SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(k.oid), obj_description(k.oid))
  FROM pg_constraint AS k JOIN mine ON mine.oid = conrelid
  UNION ALL
  SELECT pg_get_triggerdef(g.oid) FROM pg_trigger AS g JOIN mine ON mine.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL
  SELECT concat_ws(' ', 'statistics', stxname, stxkeys::text) FROM pg_statistic_ext JOIN mine ON mine.oid = stxrelid
  UNION ALL
  SELECT concat_ws(' ', 'function', p.oid::regprocedure, prosrc, obj_description(p.oid)) FROM pg_proc AS p
  WHERE pronamespace = current_schema()::regnamespace
  UNION ALL
  SELECT concat_ws(' ', 'type', typname, typtype, format_type(typbasetype, typtypmod),
    (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
  FROM pg_type AS t WHERE typnamespace = current_schema()::regnamespace AND typtype IN ('e', 'd')
  UNION ALL
  SELECT 'extension ' || extname FROM pg_extension
  UNION ALL
  SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_'
  ORDER BY 1]]

--- The lines of the current schema, without those of the record of steps.
---@param conn table
---@param with_order? boolean whether the order of columns counts
---@return string one line after the other
function M.read(conn, with_order)
  local lines = {}
  for _, row in ipairs(conn:query(SHAPE, with_order == true)) do
    if not row.line:find("schema_migrations", 1, true) then
      lines[#lines + 1] = row.line:gsub("%s+", " "):gsub(" $", "")
    end
  end
  return table.concat(lines, "\n")
end

return M
