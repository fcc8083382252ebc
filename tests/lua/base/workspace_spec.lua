local errors = require "ligase.base.errors"
local host = require "host"
local sys = require "sys"
local workspace = require "ligase.base.workspace"

describe("workspace", function()
  local folder, before

  before_each(function()
    folder = sys.real_path(sys.temp_dir("ligase-spec-"))
    before = { HOME = sys.getenv("HOME"), LIGASE_WORKSPACE = sys.getenv("LIGASE_WORKSPACE"), cwd = sys.cwd() }
    sys.setenv("LIGASE_WORKSPACE", nil)
    sys.setenv("HOME", folder)
    sys.mkdir(folder .. "/lab/project/data", { parents = true })
  end)
  after_each(function()
    sys.chdir(before.cwd)
    sys.setenv("HOME", before.HOME)
    sys.setenv("LIGASE_WORKSPACE", before.LIGASE_WORKSPACE)
    sys.remove_tree(folder)
  end)

  describe("find", function()
    it("takes the folder itself when nothing is marked", function()
      assert.equal(folder .. "/lab/project/data", workspace.find(folder .. "/lab/project/data"))
      sys.chdir(folder .. "/lab")
      assert.equal(folder .. "/lab", workspace.find())
    end)

    it("takes the nearest folder that is marked", function()
      sys.mkdir(folder .. "/lab/recipes")
      assert.equal(folder .. "/lab", workspace.find(folder .. "/lab/project/data"))
      sys.write_file(folder .. "/lab/project/.env", "")
      assert.equal(folder .. "/lab/project", workspace.find(folder .. "/lab/project/data"))
      sys.mkdir(folder .. "/lab/project/data/.ligase")
      assert.equal(folder .. "/lab/project/data", workspace.find(folder .. "/lab/project/data"))
    end)

    it("is not misled by files and folders of the wrong type", function()
      sys.write_file(folder .. "/lab/recipes", "")
      sys.mkdir(folder .. "/lab/.env")
      sys.write_file(folder .. "/lab/.ligase", "")
      assert.equal(folder .. "/lab/project", workspace.find(folder .. "/lab/project"))
    end)

    it("takes $HOME only when it was made a workspace, and never looks above it", function()
      sys.write_file(folder .. "/.env", "")
      sys.mkdir(folder .. "/recipes")
      assert.equal(folder .. "/lab", workspace.find(folder .. "/lab"))
      sys.mkdir(folder .. "/.ligase")
      assert.equal(folder, workspace.find(folder .. "/lab"))
      sys.setenv("HOME", folder .. "/lab/project")
      assert.equal(folder .. "/lab/project/data", workspace.find(folder .. "/lab/project/data"))
      assert.equal(folder .. "/lab/project", workspace.find(folder .. "/lab/project"))
    end)

    it("works without $HOME and at the root", function()
      sys.setenv("HOME", nil)
      sys.mkdir(folder .. "/.ligase") -- the folder itself lies in the run's own workspace
      assert.equal(folder, workspace.find(folder .. "/lab"))
      assert.equal("/", workspace.find("/"))
    end)

    it("obeys LIGASE_WORKSPACE", function()
      sys.mkdir(folder .. "/lab/project/.ligase")
      sys.setenv("LIGASE_WORKSPACE", folder .. "/lab")
      assert.equal(folder .. "/lab", workspace.find(folder .. "/lab/project"))
      sys.setenv("LIGASE_WORKSPACE", "")
      assert.equal(folder .. "/lab/project", workspace.find(folder .. "/lab/project"))
      sys.setenv("LIGASE_WORKSPACE", folder .. "/none")
      local done, failure = pcall(workspace.find)
      assert.is_false(done)
      assert.is_true(errors.is(failure, "usage"))
      assert.truthy(failure.message:find(folder .. "/none", 1, true))
    end)

    it("gives a path without links", function()
      assert.equal(0, sys.run({ "ln", "-s", "lab", folder .. "/link" }).code)
      assert.equal(folder .. "/lab/project", workspace.find(folder .. "/link/project"))
    end)
  end)

  describe("search_path", function()
    it("has the workspace first and what came with ligase second", function()
      sys.mkdir(folder .. "/lab/recipes")
      assert.same({ folder .. "/lab/recipes", sys.real_path(host.home .. "/recipes") },
        workspace.search_path("recipes", folder .. "/lab"))
      assert.same({ sys.real_path(host.home .. "/lua") }, workspace.search_path("lua", folder .. "/lab"))
      assert.same({ sys.real_path(host.home .. "/lua") }, workspace.search_path("lua", host.home))
    end)
  end)

  describe("recipes", function()
    before_each(function()
      sys.mkdir(folder .. "/lab/recipes")
      sys.write_file(folder .. "/lab/recipes/my_panel.lua", "return {}")
      sys.write_file(folder .. "/lab/recipes/.hidden.lua", "")
      sys.write_file(folder .. "/lab/recipes/notes.txt", "")
    end)

    it("are found by name, the workspace's first", function()
      assert.equal(folder .. "/lab/recipes/my_panel.lua", workspace.find_recipe("my_panel", folder .. "/lab"))
      for _, recipe in ipairs(workspace.recipes(folder)) do -- those that came with ligase
        assert.equal(recipe.path, workspace.find_recipe(recipe.name, folder))
        sys.write_file(folder .. "/lab/recipes/" .. recipe.name .. ".lua", "")
        assert.equal(("%s/lab/recipes/%s.lua"):format(folder, recipe.name),
          workspace.find_recipe(recipe.name, folder .. "/lab"))
      end
    end)

    it("are found by path", function()
      sys.chdir(folder .. "/lab")
      assert.equal(folder .. "/lab/recipes/my_panel.lua", workspace.find_recipe("recipes/my_panel.lua"))
      assert.equal(folder .. "/lab/recipes/my_panel.lua",
        workspace.find_recipe(folder .. "/lab/recipes/my_panel.lua"))
      sys.chdir(folder .. "/lab/recipes")
      assert.equal(folder .. "/lab/recipes/my_panel.lua", workspace.find_recipe("my_panel.lua"))
    end)

    it("are listed by name", function()
      local seen = {}
      for _, recipe in ipairs(workspace.recipes(folder .. "/lab")) do
        seen[#seen + 1] = recipe.name
        assert.equal("file", sys.stat(recipe.path).type)
      end
      local sorted = table.move(seen, 1, #seen, 1, {})
      table.sort(sorted)
      assert.same(sorted, seen)
      local all = table.concat(seen, " ")
      assert.truthy(all:find("my_panel", 1, true))
      assert.is_nil(all:find("hidden", 1, true))
      assert.is_nil(all:find("notes", 1, true))
    end)

    it("that are not there are refused with the nearest and all there are", function()
      local done, failure = pcall(workspace.find_recipe, "my_panl", folder .. "/lab")
      assert.is_false(done)
      assert.is_true(errors.is(failure, "usage"))
      assert.truthy(failure.hint:find("Did you mean 'my_panel'?", 1, true))
      assert.truthy(failure.hint:find("Recipes: ", 1, true))
      assert.is_false((pcall(workspace.find_recipe, "none/at/all.lua", folder .. "/lab")))
    end)
  end)
end)
