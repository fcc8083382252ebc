--- Every step of ours goes up, down and up exactly; and steps that do not are found.
local check = require "ligase.store.migration_check"
local errors = require "ligase.base.errors"
local generated_rows = require "ligase.store.generated_rows"
local migrate = require "ligase.store.migrate"
local pg = require "pg"
local row_sums = require "ligase.store.row_sums"
local support = require "tests.support"
local sys = require "sys"

local function folder_of(files)
  local folder = support.workspace()
  for name, content in pairs(files) do
    sys.write_file(folder .. "/" .. name, content)
  end
  return folder
end

describe("migrate check", function()
  local server

  setup(function()
    server = support.database()
  end)

  --- All differences, by the name of the step.
  local function differences(files)
    local found = {}
    for _, step in ipairs((check.run(server, "/nowhere", { folder = folder_of(files) }))) do
      if #step.differences > 0 then
        found[step.name] = table.concat(step.differences, "\n")
      end
    end
    local conn <close> = pg.connect(server)
    assert.equal(0, #conn:query("SELECT FROM pg_database WHERE datname ~ $1", -- other specs have theirs
      ("^ligase_scratch_[0-9]+_%d_"):format(sys.pid())))
    return found
  end

  it("finds every step of ours exact, on a database with rows in every table", function()
    local result = support.ligase { "migrate", "check", database = server }
    assert.equal(0, result.code, result.stdout .. result.stderr)
    for _, step in ipairs(migrate.files()) do
      assert.matches("ok   " .. step.name, result.stdout, 1, true)
    end
    assert.matches("scratch database on the server", result.stdout, 1, true)
  end)

  it("finds what a step leaves behind and what it loses", function()
    local found = differences {
      ["001_a.up.sql"] = "CREATE TABLE a (id uuid PRIMARY KEY, x integer, y text);",
      ["001_a.down.sql"] = "DROP TABLE a;",
      ["002_leaves.up.sql"] = "CREATE TABLE IF NOT EXISTS b (x integer);", ["002_leaves.down.sql"] = "SELECT 1;",
      ["003_loses.up.sql"] = "ALTER TABLE a DROP COLUMN y;",
      ["003_loses.down.sql"] = "ALTER TABLE a ADD COLUMN y text;",
      ["004_exact.up.sql"] = "ALTER TABLE a ADD COLUMN made timestamptz DEFAULT clock_timestamp();",
      ["004_exact.down.sql"] = "ALTER TABLE a DROP COLUMN made;",
      ["005_view.up.sql"] = "CREATE VIEW v AS SELECT x FROM a; COMMENT ON TABLE a IS 'new';",
      ["005_view.down.sql"] = "DROP VIEW v;",
      ["006_doubts.lua"] = "return { up = function() end, down = function() end, "
        .. "verify = function() return { 'a doubt' } end }",
    }
    assert.matches("after down the schema is another:\n  + column b.x integer", found["002_leaves"], 1, true)
    assert.matches("after down a has other content in its 4 rows", found["003_loses"], 1, true)
    assert.is_nil(found["001_a"] or found["004_exact"])
    assert.matches("+ table a logged comment new", found["005_view"], 1, true)
    assert.matches("verify: a doubt", found["006_doubts"], 1, true)
  end)

  it("ends at a step that does not go up again", function()
    local found = differences {
      ["001_a.up.sql"] = "CREATE TABLE a (x integer);", ["001_a.down.sql"] = "SELECT 1;",
      ["002_b.up.sql"] = "SELECT 1;", ["002_b.down.sql"] = "SELECT 1;",
    }
    assert.matches('relation "a" already exists', found["001_a"], 1, true)
    assert.is_nil(found["002_b"])
  end)

  it("finds the step at fault by dumps where only these differ", function()
    local found = differences {
      ["001_a.up.sql"] = "CREATE TABLE a (x integer);", ["001_a.down.sql"] = "DROP TABLE a;",
      ["002_b.up.sql"] = "SELECT 1;", ["002_b.down.sql"] = "ALTER TABLE a ALTER COLUMN x SET STATISTICS 7;",
    }
    assert.matches("after down to 0 and up the schema is another", found["all 2 steps"], 1, true)
    assert.matches("+ ALTER TABLE ONLY public.a ALTER COLUMN x SET STATISTICS 7;", found["002_b"], 1, true)
    assert.is_nil(found["001_a"])
  end)
end)

describe("generated rows", function()
  it("satisfy keys, checks and types, and are the same in every run", function()
    local function filled()
      local conn = support.connect()
      conn:script [[
        CREATE TYPE mood AS ENUM ('calm', 'odd');
        CREATE TABLE parents (id uuid PRIMARY KEY, parent_id uuid REFERENCES parents, name varchar(5) NOT NULL UNIQUE,
          feels mood NOT NULL, document jsonb NOT NULL CHECK (jsonb_typeof(document) = 'array'));
        CREATE TABLE children (n bigint GENERATED ALWAYS AS IDENTITY, parent_id uuid NOT NULL REFERENCES parents,
          state text NOT NULL CHECK (state IN ('open', 'done')), direction smallint CHECK (direction IN (-1, 1)),
          lease uuid, until timestamptz, tags text[] NOT NULL, amounts float8[], raw bytea,
          CHECK ((state = 'open') = (lease IS NOT NULL AND until IS NOT NULL)));
        CREATE TABLE settings (is_only boolean PRIMARY KEY CHECK (is_only), phase text CHECK (phase IN ('a', 'b')));
        CREATE VIEW joined AS SELECT name, state FROM parents JOIN children ON parents.id = children.parent_id;]]
      generated_rows.fill(conn)
      assert.equal(4, conn:query("SELECT count(*) AS n FROM joined")[1].n)
      assert.equal(1, conn:query("SELECT count(*) AS n FROM settings")[1].n)
      assert.equal(0, generated_rows.fill(conn))
      return row_sums.read(conn)
    end
    assert.same(filled(), filled())
  end)

  it("name the table that nobody can fill", function()
    local conn = support.connect()
    conn:script("CREATE TABLE hard (x integer NOT NULL CHECK (x * x = 1764 AND x < 0))")
    local done, failure = pcall(generated_rows.fill, conn)
    assert.is_false(done)
    assert.is_true(errors.is(failure, "database"))
    assert.matches("the table hard", failure.message, 1, true)
  end)
end)
