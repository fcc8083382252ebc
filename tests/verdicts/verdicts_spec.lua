--- Every real file has a fixed verdict, and what is read holds what Python counts.
local support = require "tests.support"
local host = require "host"
local sys = require "sys"
local verdict = require "tests.verdicts.verdict"

--- The real files; the test is skipped where they are not there.
local function need_files()
  support.need_shared "INDEX.tsv"
  return verdict.files()
end

describe("the verdicts on real files", function()
  it("are the ones that are kept, for every file #shared", function()
    local files, kept, wrong = need_files(), verdict.kept(), {}
    for _, path in ipairs(files) do
      local found = verdict.line(verdict.of(path))
      if found ~= kept[path] then
        wrong[#wrong + 1] = ("kept:  %s\nfound: %s"):format(kept[path] or "(none: run tests/corpus --write)", found)
      end
      kept[path] = nil
    end
    assert.same({}, wrong)
    assert.same({}, kept)
    assert.is_true(#files >= 200)
  end)

  it("agree with what Python counts in at least 40 of them #shared", function()
    need_files()
    local kept, count = verdict.kept(), 0
    local counted = support.python(sys.read_file(host.home .. "/tests/verdicts/count.py"), { verdict.FOLDER })
    for line in counted:gmatch("[^\n]+") do
      local path, names, samples, rows, values = line:match("^([^\t]+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)$")
      local ours = table.pack((kept[path] or ""):match("^[^\t]+\tread\t[^\t]*\t[^\t]*\t(%d+)\t(%d+)\t(%d+)\t(%d+)"))
      assert.same({ names, samples, rows, values, n = 4 }, ours, path)
      count = count + 1
    end
    assert.is_true(count >= 40, count .. " files were counted")
  end)

  it("refuse with a reason, and a line where there is one", function()
    local lines = verdict.kept()
    for path, line in pairs(lines) do
      local said = line:match("^[^\t]+\t([^\t]*)")
      assert.is_true(said == "read" or said:find("^refused: %l[%l_]+$") ~= nil, path)
    end
  end)
end)
