--- build/ligase tests/verdicts/print.lua [--write]: the verdicts on all real files, as
--- tests/corpus prints them.
local sys = require "sys"
local verdict = require "tests.verdicts.verdict"

local lines = { table.concat(verdict.COLUMNS, "\t") }
for _, path in ipairs(verdict.files()) do
  lines[#lines + 1] = verdict.line(verdict.of(path))
  print(lines[#lines])
end
if #lines == 1 then
  io.stderr:write("there are no files in ", verdict.FOLDER, "\n")
  os.exit(1)
elseif arg[1] == "--write" then
  sys.write_file(verdict.TABLE, table.concat(lines, "\n") .. "\n")
end
