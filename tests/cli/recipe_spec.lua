--- ligase recipe: which recipe is used, and how it differs.
local host = require "host"
local support = require "tests.support"
local sys = require "sys"

local function recipe(workspace, ...)
  return support.ligase { "recipe", workspace = workspace, ... }
end

local function output(workspace, ...)
  local result = recipe(workspace, ...)
  assert.equal(0, result.code, result.stderr)
  assert.equal("", result.stderr)
  return result.stdout
end

describe("ligase recipe", function()
  it("lists what came with ligase, all of it good", function()
    local folder = support.workspace()
    local count = 0
    for line in output(folder, "list", "--format", "csv"):gmatch "[^\n]+" do
      local name, place, path = line:match('^([^,]+),[^,]+,([^,]+),"",(.+)$')
      if name and place == "ligase" then
        count = count + 1
        assert.equal(host.home .. "/recipes/" .. name .. ".lua", path)
      end
    end
    assert.equal(#sys.list(host.home .. "/recipes"), count + 1) -- the policy is none
    assert.equal(count, select(2, output(folder, "check"):gsub(": good, reads ", "")))
    assert.same({}, sys.list(folder))
  end)

  it("copies one, says that it is used instead, and how it differs", function()
    local folder = support.workspace()
    local path = folder .. "/recipes/lipidomics.lua"
    assert.matches("made " .. path, output(folder, "new", "lipidomics"), 1, true)
    assert.matches("same as ligase's lipidomics", output(folder, "list"), 1, true)
    local content = sys.read_file(path)
    assert.matches("^%-%- lipidomics: copied from the recipe lipidomics of ligase %d", content)
    sys.write_file(path, (content:gsub('feature_type = "lipid",', 'feature_type = "lipid",\n  -- one\n  -- two', 1)))
    assert.matches("workspace  +2 -0 lines of ligase's lipidomics", output(folder, "list"), 1, true)
    assert.matches("file         " .. path, output(folder, "show", "lipidomics"), 1, true)
    assert.matches("lipidomics: good, reads lipidomics\n", output(folder, "check", "lipidomics"), 1, true)
  end)

  it("copies under another name, and remembers from what", function()
    local folder = support.workspace()
    output(folder, "new", "panel", "--from", "proteomics")
    assert.matches("same as ligase's proteomics", output(folder, "show", "panel"), 1, true)
    output(folder, "new", "panel-2", "--from", "panel")
    local again = recipe(folder, "new", "panel")
    assert.equal(2, again.code)
    assert.matches("there is a recipe of that name", again.stderr, 1, true)
  end)

  it("gives what is no recipe advice of its own, and says what it is", function()
    local folder = support.workspace()
    local made = output(folder, "new", "policy", "--from", "policy")
    assert.matches("Edit it, then: ligase policy check\n", made, 1, true)
    assert.equal(0, support.ligase({ "policy", "check", workspace = folder, database = false }).code)
    assert.equal("policy: good, reads nothing: the policy of the dual write, see: ligase policy check\n",
      output(folder, "check", "policy"))
    assert.matches(folder .. "/recipes/policy.lua", output(folder, "show", "policy"), 1, true)
    sys.write_file(folder .. "/recipes/policy.lua", "return {\n")
    assert.matches("recipes/policy.lua:2: ", recipe(folder, "check", "policy").stderr, 1, true)

    made = output(folder, "new", "undo", "--from", "rollback_example")
    assert.matches("then: ligase recipe check undo; ligase " .. folder .. "/recipes/undo.lua\n", made, 1, true)
    assert.equal("undo: good, reads nothing: a script to run\n", output(folder, "check", "undo"))
    for advice, words in pairs { ["Copy it with: ligase recipe new policy"] = { "lab_policy", "--from", "policy" },
      ["a copy of lipidomics cannot be called policy"] = { "policy", "--from", "lipidomics" } } do
      local refused = recipe(folder, "new", table.unpack(words))
      assert.equal(2, refused.code)
      assert.matches(advice, refused.stderr, 1, true)
    end
    assert.matches("made ", output(support.workspace(), "new", "policy"), 1, true)
  end)

  it("says what is wrong with a recipe, with file and line, and goes on", function()
    local folder = support.workspace()
    sys.mkdir(folder .. "/recipes")
    sys.write_file(folder .. "/recipes/worse.lua", "local a = 1\nreturn {{\n")
    sys.write_file(folder .. "/recipes/none.lua", "return 5")
    sys.write_file(folder .. "/recipes/typo.lua", 'return require("ligase.omics.pipeline").recipe {\n omic = "x" }')
    local result = recipe(folder, "check")
    assert.equal(1, result.code)
    assert.matches("recipes/worse.lua:3: ", result.stderr, 1, true)
    assert.matches("recipes/none.lua: the file returns no recipe", result.stderr, 1, true)
    assert.matches("Did you mean 'omics'", result.stderr, 1, true)
    assert.matches("lipidomics: good", result.stdout, 1, true)
    assert.matches("cannot be used: ligase recipe check worse", output(folder, "list"), 1, true)
    assert.matches("local a = 1", output(folder, "show", "worse"), 1, true)
  end)

  it("refuses misuse with advice", function()
    local folder = support.workspace()
    for advice, words in pairs { ["--from RECIPE"] = { "new", "mine" }, ["letters, digits"] = { "new", "a/b", "--from",
      "proteomics" }, ["takes one name"] = { "show" }, ["'recipe list' takes no name"] = { "list", "x" },
      ["--from belongs to"] = { "list", "--from", "x" }, ["Did you mean 'lipidomics'"] = { "show", "lipidomic" },
      ["is one of"] = { "lst" } } do
      local result = recipe(folder, table.unpack(words))
      assert.equal(2, result.code, advice)
      assert.matches(advice, result.stderr, 1, true)
    end
    assert.same({}, sys.list(folder))
  end)
end)
