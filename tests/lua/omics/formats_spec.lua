local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"
local looks = require "ligase.omics.look"
local support = require "tests.support"
local sys = require "sys"

local function look_at(content, name)
  return looks.new(support.tmpfile(content, name))
end

local function failure_of(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done)
  assert.is_true(errors.is(failure), tostring(failure))
  return failure
end

describe("the registry", function()
  it("has all files of the folder, in alphabetical order, each with a source", function()
    local last = ""
    for _, format in ipairs(formats.all()) do
      assert.is_true(format.name > last, format.name)
      assert.equal(format.name, format.path:match("([^/]+)%.lua$"))
      assert.is_true(#format.source > 20, format.name .. " says where it is described")
      last = format.name
    end
    assert.is_true(#formats.all() > 30)
  end)

  it("finds a format by name, and names the nearest for one that is not there", function()
    assert.equal("MaxQuant proteinGroups.txt", formats.get("maxquant").title)
    local failure = failure_of(formats.get, "maxqant")
    assert.equal("usage", failure.kind)
    assert.matches("Did you mean maxquant%?", failure.hint)
    assert.matches("salmon", failure.hint)
  end)

  it("refuses a second format of one name and one that lacks something", function()
    local definition = { name = "salmon", title = "x", source = "y", recognise = function() end }
    assert.matches("there is a format 'salmon' already", failure_of(formats.register, definition).message)
    definition.recognise = nil
    assert.matches("option 'recognise' is missing", failure_of(formats.register, definition).message)
    assert.matches("unknown option 'recognize'", failure_of(formats.register,
      { name = "z", title = "x", source = "y", recognize = function() end }).message)
  end)

  it("takes the surest, with its reason", function()
    local found = formats.detect(look_at("Name\tLength\tEffectiveLength\tTPM\tNumReads\nT1\t9\t8\t1\t2\n", "quant.sf"))
    assert.equal("salmon", found.format.name)
    assert.equal(0.98, found.sureness)
    assert.matches("EffectiveLength", found.why)
    assert.same({}, found.doubts)
  end)

  it("takes what was given", function()
    local found = formats.detect(look_at("a,b\nx,1\n", "x.csv"), "maxquant")
    assert.equal("maxquant", found.format.name)
    assert.is_true(found.given)
    assert.same({ "read as MaxQuant proteinGroups.txt, as was said, but it does not look like that" }, found.doubts)
    assert.same({}, formats.detect(look_at("a,b\nx,1\n", "x.csv"), "wide").doubts)
  end)

  it("finds none for what is no table", function()
    assert.is_nil(formats.detect(look_at("hello\nworld\n", "x.txt")))
  end)
end)

describe("formats in a workspace", function()
  local function inspect(workspace, content)
    sys.write_file(workspace .. "/panel.csv", content)
    return support.ligase { "inspect", "panel.csv", workspace = workspace }
  end

  local function workspace_with(name, code)
    local workspace = support.workspace()
    sys.mkdir(workspace .. "/lua/ligase/omics/formats", { parents = true })
    sys.mkdir(workspace .. "/.ligase")
    sys.write_file(workspace .. "/lua/ligase/omics/formats/" .. name .. ".lua", code)
    return workspace
  end

  local PANEL = [[
    local formats = require "ligase.omics.formats"
    return formats.register {
      name = "%s", title = "our panel", source = "our own plate reader, protocol 12",
      recognise = function(look) return look:has("Analyte", "Well") and %s, "Analyte and Well" end,
      columns = function()
        return { { role = "feature" }, { role = "annotation" }, { role = "sample", unit = "nM" } }
      end,
    }]]
  local TABLE = "Analyte,Well,S1\nPC 34:1,4,2.5\n"

  it("are found beside ligase's own", function()
    local result = inspect(workspace_with("panel", PANEL:format("panel", "0.9")), TABLE)
    assert.equal("", result.stderr)
    assert.matches("our panel %(panel%), 90 %% sure: Analyte and Well", result.stdout)
    assert.matches("annotations 1: Well", result.stdout)
  end)

  it("hide ligase's own of the same name", function()
    local result = inspect(workspace_with("wide", PANEL:format("wide", "0.9")), TABLE)
    assert.matches("our panel %(wide%)", result.stdout)
  end)

  it("of about the same sureness make a doubt that names both", function()
    local workspace = workspace_with("panel", PANEL:format("panel", "0.9"))
    sys.write_file(workspace .. "/lua/ligase/omics/formats/plate.lua", PANEL:format("plate", "0.88"))
    local result = inspect(workspace, TABLE)
    assert.matches("doubt +read as our panel, but it may be our panel as well %(%-%-format plate%)", result.stdout)
  end)

  it("that are faulty are told with file and line", function()
    local result = inspect(workspace_with("panel", "local x =\nreturn"), TABLE)
    assert.equal(2, result.code)
    assert.matches("panel.lua", result.stderr)
    assert.matches(":2:", result.stderr)
    result = inspect(workspace_with("panel", "return {}"), TABLE)
    assert.matches("the file returns no format", result.stderr)
    result = inspect(workspace_with("panel", PANEL:format("other", "1")), TABLE)
    assert.matches("the format 'other' stands in a file of another name", result.stderr)
  end)

  it("that fail on a file fail for that file, with what to do", function()
    local code = PANEL:format("panel", "0.9"):gsub("columns = function%(%)", "columns = function() local n = nil + 1")
    local result = inspect(workspace_with("panel", code), TABLE)
    assert.equal(1, result.code)
    assert.matches("the format panel failed", result.stderr)
    assert.matches("%-%-format NAME", result.stderr)
  end)
end)
