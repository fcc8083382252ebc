local config_of = require "ligase.base.config"
local errors = require "ligase.base.errors"
local policy_of = require "ligase.sync.policy"
local support = require "tests.support"
local sys = require "sys"

local function phases()
  local made = {}
  for name, phase in pairs {
    notion_primary = { first = "notion", required = { "notion" }, mirrored = {}, conflict = "show" },
    dual_write = { first = "postgres", required = { "postgres" }, mirrored = { "notion" }, conflict = "show" },
    postgres_primary = { first = "postgres", required = { "postgres" }, mirrored = { "notion" }, conflict = "show" },
    postgres_only = { first = "postgres", required = { "postgres" }, mirrored = {}, conflict = "show" },
  } do
    made[name] = phase
  end
  return made
end

local function programs(changes)
  local entity = { database = "NOTION_PROGRAMS_DB_ID", properties = { Name = { type = "title", column = "name" } } }
  for name, value in pairs(changes or {}) do
    entity[name] = value
  end
  return { programs = entity }
end

local function refused(definition, message)
  local done, failure = pcall(policy_of.define, definition)
  assert.is_false(done)
  assert.is_true(errors.is(failure, "usage"), tostring(failure))
  assert.is_truthy(tostring(failure):find(message, 1, true), tostring(failure))
end

describe("the policy", function()
  it("that came with ligase is sound and covers all types", function()
    local policy = policy_of.load(support.workspace())
    for _, entity_type in ipairs(policy_of.TYPES) do
      assert.equal("title", policy.entities[entity_type].properties[1].type)
      for _, phase in ipairs(policy_of.PHASES) do
        local rule = policy:rule(entity_type, phase)
        assert.equal(phase == "notion_primary" and "notion" or "postgres", rule.first)
        assert.equal(phase == "dual_write" or phase == "postgres_primary", rule.is_mirrored)
      end
    end
    assert.is_true(policy:mirrored_types("dual_write").datasets)
    assert.is_nil(policy:mirrored_types("postgres_only").datasets)
  end)

  it("of the workspace hides the one that came with ligase", function()
    local workspace = support.workspace()
    sys.mkdir(workspace .. "/recipes")
    sys.write_file(workspace .. "/recipes/policy.lua", "return 1")
    local done, failure = pcall(policy_of.load, workspace)
    assert.is_false(done)
    assert.matches("returns no policy", failure.message)
    sys.write_file(workspace .. "/recipes/policy.lua", "local x = \nnil + 1")
    done, failure = pcall(policy_of.load, workspace)
    assert.is_false(done)
    assert.same({ workspace .. "/recipes/policy.lua", 2 }, { failure.file, failure.line })
  end)

  it("knows its phase by the flags", function()
    local function phase(env)
      env.NOTION_API_KEY = "k"
      return policy_of.phase_of(config_of.load { workspace = support.workspace(), environ = function(name)
        return env[name]
      end })
    end
    assert.equal("postgres_only", phase {})
    assert.equal("postgres_primary", phase { ENABLE_NOTION_SYNC = "true" })
    assert.equal("dual_write", phase { ENABLE_NOTION_SYNC = "true", ENABLE_DUAL_WRITE = "true" })
    assert.equal("notion_primary", phase { USE_POSTGRES_AS_SOT = "false" })
  end)

  it("may go another way for one type", function()
    local policy = policy_of.define { phases = phases(), entities = programs { phases = {
      dual_write = { conflict = "postgres" }, postgres_primary = { mirrored = {} } } } }
    assert.equal("postgres", policy:rule("programs", "dual_write").conflict)
    assert.is_true(policy:rule("programs", "dual_write").is_mirrored)
    assert.is_false(policy:rule("programs", "postgres_primary").is_mirrored)
    assert.is_nil(policy:rule("datasets", "dual_write"))
  end)

  it("is refused when it says what cannot be", function()
    local wrong = phases()
    wrong.dual_writ, wrong.dual_write = wrong.dual_write, nil
    refused({ phases = wrong, entities = {} }, "Did you mean 'dual_write'?")
    wrong = phases()
    wrong.dual_write.first = "notion"
    refused({ phases = wrong, entities = {} }, "'notion' cannot be written first")
    wrong = phases()
    wrong.dual_write.conflict = "ignore"
    refused({ phases = wrong, entities = {} }, "'show', 'postgres' or 'notion'")
    wrong = phases()
    wrong.postgres_only.mirrored = { "notion" }
    refused({ phases = wrong, entities = {} }, "Notion is off in this phase")
    wrong = phases()
    wrong.dual_write.required = { "postgres", "pinecone" }
    refused({ phases = wrong, entities = {} }, "'pinecone', which is no system")
    refused({ phases = phases(), entities = { program = {} } }, "Did you mean 'programs'?")
    refused({ phases = phases(), entities = programs { database = "PROGRAMS" } }, "no setting for a Notion database")
    refused({ phases = phases(), entities = programs { properties = {} } }, "0 properties of type title")
    for message, property in pairs {
      ["Did you mean 'disease'?"] = { type = "multi_select", column = "diseas" },
      ["does not say what it shows"] = { type = "number" },
      ["programs have no link 'programs'"] = { type = "relation", link = "programs" },
      ["is a relation and shows no link"] = { type = "relation", column = "disease" },
      ["option 'type' must be"] = { type = "formula", column = "disease" },
    } do
      refused({ phases = phases(), entities = programs { properties = { Name = { type = "title", column = "name" },
        Other = property } } }, message)
    end
  end)
end)
