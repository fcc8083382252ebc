local errors = require "ligase.base.errors"
local host = require "host"
local pipeline = require "ligase.omics.pipeline"
local recipes = require "ligase.omics.recipes"
local support = require "tests.support"
local sys = require "sys"

local function definition(changes)
  local made = {
    omics = "lipidomics", feature_type = "lipid", name_columns = { "lipid" },
    read_name = function(raw)
      return { name = raw, rule = "verbatim" }
    end,
    stages = { pipeline.recognise, pipeline.link, pipeline.store },
  }
  for field, value in pairs(changes or {}) do
    made[field] = value ~= host.null and value or nil
  end
  return made
end

local function refusal(fn, ...)
  local done, failure = pcall(fn, ...)
  assert.is_false(done, "a refusal was expected")
  assert.is_true(errors.is(failure, "usage"), tostring(failure))
  return failure
end

local function refused(changes)
  return refusal(recipes.define, definition(changes))
end

describe("a recipe", function()
  it("is what was defined", function()
    local recipe = recipes.define(definition { set = { Area = "sample" }, dialect = { decimal = "," } })
    assert.is_true(recipes.is_recipe(recipe))
    assert.equal("lipidomics", recipe.omics)
    assert.same({ Area = "sample" }, recipe.set)
    assert.same({ decimal = "," }, recipe.dialect)
    assert.is_false(recipes.is_recipe(definition()))
    assert.is_false(recipes.is_recipe(nil))
  end)

  it("is refused with a field that is missing, unknown or of another type", function()
    assert.matches("'omics' is missing", refused { omics = host.null }.message)
    local failure = refused { name_colums = {} }
    assert.matches("unknown option 'name_colums'", failure.message)
    assert.matches("Did you mean 'name_columns'", failure.hint)
    assert.matches("'read_name' must be function", refused { read_name = "lipid" }.message)
    assert.matches("must be a table", refusal(recipes.define, "lipidomics").message)
  end)

  it("is refused with lists that hold nothing or something else", function()
    assert.matches("no stages", refused { stages = {} }.message)
    assert.matches("no name_columns", refused { name_columns = {} }.message)
    local failure = refused { stages = { pipeline.recognise, pipeline.recognize, pipeline.store } }
    assert.matches("stages 2 of the recipe is a nil, not a function", failure.message)
    assert.matches("recognise, link and store", failure.hint)
    assert.matches("stages recognise of the recipe", refused { stages = { recognise = pipeline.recognise } }.message)
    assert.matches("name_columns 1 of the recipe is a number", refused { name_columns = { 1 } }.message)
    assert.matches("pairs of texts", refused { set = { "sample" } }.message)
  end)

  it("is refused with a dialect that is misspelt or impossible", function()
    local failure = refused { dialect = { seperator = ";" } }
    assert.matches("unknown option 'seperator'", failure.message)
    assert.matches("Did you mean 'separator'", failure.hint)
    assert.matches("'decimal' must be '.' or ','", refused { dialect = { decimal = ";" } }.message)
    assert.matches("'skip_lines' must be at least 0", refused { dialect = { skip_lines = -1 } }.message)
  end)

  it("passes readings on and refuses those that are none", function()
    local reading
    local recipe = recipes.define(definition { read_name = function()
      return reading
    end })
    assert.is_nil(recipe.read_name "x")
    for _, good in ipairs { { name = "a", rule = "r" },
      { name = "a", rule = "r", level = "l", aside = { b = "c" } } } do
      reading = good
      assert.equal(good, recipe.read_name "x")
    end
    for _, case in ipairs {
      { "PC 34:1", "read_name%('x'%) gave 'PC 34:1', not a table" },
      { { rule = "r" }, "gave a nil for the name" },
      { { name = "", rule = "r" }, "an empty text for the name" },
      { { name = "a" }, "gave a nil for the rule" },
      { { name = "a", rule = "r", level = 2 }, "for the level" },
      { { name = "a", rule = "r", aside = "+H" }, "for what was set aside" },
    } do
      reading = case[1]
      assert.matches(case[2], refusal(recipe.read_name, "x").message)
    end
  end)
end)

describe("loading a recipe", function()
  local workspace

  before_each(function()
    workspace = support.workspace()
    sys.mkdir(workspace .. "/recipes")
    sys.setenv("LIGASE_WORKSPACE", workspace)
  end)

  after_each(function()
    sys.setenv("LIGASE_WORKSPACE", nil)
  end)

  local function write(name, text)
    local path = ("%s/recipes/%s.lua"):format(workspace, name)
    sys.write_file(path, text)
    return path
  end

  local RECIPE = [[
local pipeline = require "ligase.omics.pipeline"
return pipeline.recipe { omics = "lipidomics", feature_type = "lipid", name_columns = { "x" },
  read_name = function(raw) return { name = raw, rule = "verbatim" } end,
  stages = { pipeline.recognise, pipeline.link, pipeline.store } }
]]

  it("finds the one that came with ligase, unless the workspace has one of its name", function()
    local own = recipes.load "lipidomics"
    assert.equal(host.home .. "/recipes/lipidomics.lua", own.path)
    assert.equal("lipidomics", own.name)
    local path = write("lipidomics", RECIPE)
    local mine = recipes.load "lipidomics"
    assert.equal(path, mine.path)
    assert.equal(sys.sha256(RECIPE), mine.sha256)
    assert.not_equal(own.sha256, mine.sha256)
  end)

  it("takes a path", function()
    local path = write("mine", RECIPE)
    assert.equal("mine", recipes.load(path).name)
  end)

  it("takes it as Windows saves it, and as a script", function()
    for _, first in ipairs { "\xEF\xBB\xBF", "#!/usr/bin/env ligase\n", "\xEF\xBB\xBF#!ligase\n" } do
      write("mine", first .. RECIPE)
      assert.equal("mine", recipes.load("mine").name)
    end
    write("mine", (RECIPE:gsub("\n", "\r\n")))
    assert.equal("mine", recipes.load("mine").name)
  end)

  it("suggests the nearest name", function()
    assert.matches("Did you mean 'lipidomics'", refusal(recipes.load, "lipidomcs").hint)
  end)

  it("says file and line of a mistake", function()
    local first = "local pipeline = require 'ligase.omics.pipeline'\n"
    local path = write("mine", first .. "return pipeline.recipe {\n  omics = \n}\n")
    local failure = refusal(recipes.load, "mine")
    assert.equal("syntax", failure.code)
    assert.same({ path, 4 }, { failure.file, failure.line })
    path = write("mine", first .. "return pipeline.receipt {}\n")
    failure = refusal(recipes.load, "mine")
    assert.same({ path, 2 }, { failure.file, failure.line })
    assert.matches("^attempt to call a nil value %(field 'receipt'%)", failure.message)
    write("mine", "local x = undeclared_thing\n")
    assert.matches(":1:.*undeclared_thing", tostring(refusal(recipes.load, "mine")))
  end)

  it("says which module is not there, in one line", function()
    write("mine", 'require "ligase.omics.names.lipids"\n')
    local text = tostring(refusal(recipes.load, "mine"))
    assert.matches("module 'ligase.omics.names.lipids' not found", text)
    assert.is_nil(text:find("\n", 1, true))
  end)

  it("says file and line of a definition that is refused", function()
    local path = write("mine", (RECIPE:gsub("omics =", "omcs =")))
    local text = tostring(refusal(recipes.load, "mine"))
    assert.matches(path, text, 1, true)
    assert.matches("unknown option 'omcs'", text)
    path = write("mine", (RECIPE:gsub("pipeline.link", "pipeline.links")))
    text = tostring(refusal(recipes.load, "mine"))
    assert.matches(path, text, 1, true)
    assert.matches("stages 2", text)
  end)

  it("takes those that the documentation shows", function()
    local count = 0
    for block in sys.read_file(host.home .. "/docs/recipes.md"):gmatch("```lua\n(.-)```") do
      if block:find("return pipeline.recipe", 1, true) then
        write("mine", block)
        assert.equal("lipidomics", recipes.load("mine").omics)
        count = count + 1
      end
    end
    assert.equal(2, count)
  end)

  it("refuses what returns no recipe, and bytecode", function()
    for _, text in ipairs { "", "return {}", "return 5", (RECIPE:gsub("return pipeline", "local _ = pipeline")) } do
      local path = write("mine", text)
      local failure = refusal(recipes.load, "mine")
      assert.matches("returns no recipe", failure.message)
      assert.equal(path, failure.file)
    end
    write("mine", string.dump(load(RECIPE)))
    assert.equal("syntax", refusal(recipes.load, "mine").code)
  end)
end)
