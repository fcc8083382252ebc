--- `ligase import sqlite FILE` and `ligase import notion`: what other systems have, into
--- Postgres.
local errors = require "ligase.base.errors"
local parsing = require "ligase.cli.parsing"

local M = {}

M.description = "sqlite takes over programs, compounds, screening campaigns and their results from a SQLite file, by a "
  .. "map that says which tables and columns they are: recipes/chemistry_sqlite.lua, or your own copy. Everything "
  .. "is stored in one transaction, or nothing; the same file again changes nothing. notion takes over the pages of "
  .. "the lab's Notion databases, by the policy (recipes/policy.lua): entities, what they are linked to, and the "
  .. "pages' texts. Only what was changed since the last time is read again; what was changed on both sides "
  .. "is shown. Nothing is written to Notion."
M.example = [[
  ligase import sqlite chemistry.db
  ligase import sqlite chemistry.db --map recipes/chemistry_sqlite.lua --dry-run
  ligase import sqlite chemistry.db --leave-out --duplicates keep
  ligase import notion --dry-run
  ligase import notion --database programs --since 2026-05-01]]

M.surplus = "import takes sqlite and one FILE, or notion"

local MODULES = { sqlite = "ligase.cli.import_sqlite", notion = "ligase.cli.import_notion" }

--- Words that belong to one kind of import.
local OWN = {
  sqlite = { file = "FILE", map = "--map", duplicates = "--duplicates", busy_timeout = "--busy-timeout",
    create = "--create", leave_out = "--leave-out" },
  notion = { databases = "--database", since = "--since", all = "--all", no_bodies = "--no-bodies",
    delete = "--delete", allow_empty = "--allow-empty" },
}

--- Declares the command's words.
---@param parser table argparse's
function M.configure(parser)
  parser:argument("KIND", "sqlite or notion."):target("kind"):argname("KIND")
    :convert(parsing.one_of("the kind of import", { "sqlite", "notion" }))
  parser:argument("FILE", "The SQLite file."):target("file"):argname("FILE"):args("?")
  parser:option("--map", "sqlite: the map, by name or path; chemistry_sqlite without it."):argname("MAP")
  parser:option("--duplicates", "sqlite: wells that stand twice: refuse their rows, keep both, or exclude both from "
    .. "what counts."):argname("WHAT"):convert(parsing.one_of("--duplicates", { "refuse", "keep", "exclude" }))
  parser:option("--busy-timeout", "sqlite: seconds to wait while another program writes to the file; 5 without it.")
    :argname("SECONDS"):convert(parsing.whole_number("--busy-timeout", 0))
  parser:flag("--create", "sqlite: make programs that are named and not there.")
  parser:flag("--leave-out", "sqlite: leave rows out that cannot be taken over, and store the rest.")
  parser:option("--database", "notion: only this one (repeatable): programs, experiments, datasets, ...; its setting, "
    .. "or the short name of that (exp_data), will do too."):target("databases"):argname("NAME"):count("*")
  parser:option("--since", "notion: only pages edited from then on (UTC): 2026-05-01, or 2026-05-01T08:30:00Z.")
    :argname("TIME")
  parser:flag("--all", "notion: also pages that were not changed since they were taken over.")
  parser:flag("--no-bodies", "notion: leave the pages' texts out: one request less for each page.")
  parser:flag("--delete", "notion: delete entities whose page lies in Notion's trash.")
  parser:flag("--allow-empty", "notion: empty values also where most pages lost theirs at once.")
  parser:flag("--dry-run", "Say what would happen and write nothing.")
end

local function is_given(value)
  return value ~= nil and value ~= false and not (type(value) == "table" and #value == 0)
end

local function check(arguments)
  for kind, own in pairs(OWN) do
    for name, word in pairs(own) do
      if kind ~= arguments.kind and is_given(arguments[name]) then
        errors.raise { kind = "usage", code = "usage", message = ("import %s takes no %s"):format(arguments.kind, word),
          hint = "See: ligase import --help" }
      end
    end
  end
  if arguments.kind == "sqlite" and not arguments.file then
    errors.raise { kind = "usage", code = "usage", message = "FILE is missing", hint = "See: ligase import --help" }
  end
end

--- Runs the command.
---@param arguments table as parsed
---@param context ligase.context
---@return integer|nil status
function M.run(arguments, context)
  check(arguments)
  return require(MODULES[arguments.kind]).run(arguments, context)
end

return M
