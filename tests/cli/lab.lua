--- What the specs of one command work in: a database, a folder, files in it, and ligase called
--- there.
---
---   local lab = require("tests.cli.lab").new()
---   setup(function()          -- or before_each
---     lab.open()
---     lab.write("a.csv", "lipid,x\nPC 34:1,1\n")
---     lab.done { "ingest", "a.csv" }
---   end)
local json = require "ligase.base.json"
local support = require "tests.support"
local sys = require "sys"

local M = {}

--- A place that is opened for each test, or once for a file; what is in it goes as
--- tests.support says.
function M.new()
  local lab = {}

  --- A fresh database with the schema (`lab.url`) and an empty folder (`lab.folder`).
  function lab.open()
    lab.url, lab.folder = support.migrated_database(), support.workspace()
  end

  --- Writes a file of the folder.
  function lab.write(name, content)
    sys.write_file(lab.folder .. "/" .. name, content)
  end

  --- Calls ligase in the folder.
  function lab.ligase(words)
    words.database, words.workspace = lab.url, lab.folder
    return support.ligase(words)
  end

  --- Calls it and expects that it goes well; gives what was printed.
  function lab.done(words)
    local result = lab.ligase(words)
    assert(result.code == 0, result.stdout .. result.stderr)
    return result.stdout, result.stderr
  end

  --- The rows of a query.
  function lab.sql(statement)
    return json.decode((lab.done { "sql", "--format", "json", statement }))
  end

  return lab
end

return M
