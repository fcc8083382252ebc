--- What the Tab key offers in the REPL.
local completion = require "ligase.cli.repl.completion"
local connection = require "ligase.connection"
local lexing = require "ligase.cli.repl.lexing"
local support = require "tests.support"
local sys = require "sys"
local words = require "ligase.words"

describe("lexing", function()
  it("tells code from comments and strings", function()
    for code, kind in pairs { ["x = 1"] = "code", ["x -- y"] = "comment", ["--[[ a\nb"] = "comment",
      ["-- a\nb"] = "code", ["--[[ a ]] b"] = "code", ["--[==[ ]] "] = "comment", ['f"a'] = "string",
      ['f"a" .. b'] = "code", ["f'a\\'b"] = "string", ["f[[ ' "] = "string", ["t[1"] = "code", ["a - b"] = "code",
      ["[==[ ]] "] = "string", [""] = "code" } do
      assert.equal(kind, lexing.at_end(code).kind, code)
    end
  end)

  it("says which word a string is given to", function()
    for code, expected in pairs { ["sql[[SELECT 1"] = { "sql", "SELECT 1", "]]" },
      ["x = dataset ( 'pl"] = { "dataset", "pl", "'" }, ['y["a'] = { nil, "a", '"' },
      ['f"x"; g[=[ ]]'] = { "g", " ]]", "]=]" } } do
      local lexed = lexing.at_end(code)
      assert.same(expected, { lexed.word, lexed.content, lexed.close })
    end
  end)
end)

describe("completion", function()
  local session, env, url

  setup(function()
    local conn
    conn, url = support.migrated()
    conn:query("INSERT INTO features (id, key, feature_type, name) SELECT gen_random_uuid(), i, 'gene', 'GENE' || i "
      .. "FROM generate_series(1, 3000) AS i")
    conn:query([[INSERT INTO features (id, key, feature_type, name) VALUES (gen_random_uuid(), -1, 'lipid', 'a"b'),
      (gen_random_uuid(), -2, 'lipid', 'zä1'), (gen_random_uuid(), -3, 'lipid', 'zü2')]])
    conn:query("INSERT INTO datasets (id, omics_type, name) VALUES (gen_random_uuid(), 'x', 'plasma one'), "
      .. "(gen_random_uuid(), 'x', 'plasma two'), (gen_random_uuid(), 'y', 'plasma two')")
    sys.setenv("POSTGRES_URL", url)
    env = words.environment()
    session = completion.new(env, { ".help", ".tables", ".time" })
  end)

  teardown(function()
    session:close()
    connection.close()
    sys.setenv("POSTGRES_URL", nil)
  end)

  local function inserted(before, behind)
    return (session:complete(before, behind or ""))
  end

  local function listed(before, behind)
    local insert, names = session:complete(before, behind or "")
    assert.is_nil(insert)
    return names
  end

  it("knows names of Lua, of the session, and words", function()
    env.my_value = { first = 1, second = { deep = true } }
    assert.equal("_value", inserted "my")
    assert.equal("aset", inserted "x = dat")
    assert.same({ "dataset", "datasets" }, listed "x = dataset")
    assert.equal("ep", inserted "x = my_value.second.de")
    assert.same({ "find", "format" }, listed "string.f")
    assert.equal("le", inserted "whi")
    assert.is_nil(inserted "nothing_of_this.x")
    assert.is_nil(inserted "f().x")
    assert.is_nil(inserted "-- my")
  end)

  it("knows methods, and calls nothing to find them", function()
    env.f = require("frame").new({ "a" }, { { 1 } })
    assert.equal("d", inserted "f:hea")
    env.trap = setmetatable({}, { __index = function() error("called") end })
    assert.is_nil(inserted "trap.x.y")
    assert.equal("asets", inserted "ligase.dat")
    assert.equal("uest", inserted "http.req") -- a module that is loaded when it is first used
    assert.equal("ncode", inserted "json.e")
    assert.same({ "list", "lookup" }, listed "ligase.datasets:l")
  end)

  it("knows the commands", function()
    assert.equal("elp", inserted ".h")
    assert.same({ ".tables", ".time" }, listed ".t")
    assert.is_nil(inserted "x.h")
  end)

  it("knows what a command takes", function()
    local folder = support.workspace()
    sys.mkdir(folder .. "/some")
    sys.write_file(folder .. "/some/file.lua", "")
    sys.write_file(folder .. "/some/.hidden", "")
    assert.same({ "measurement_values", "measurements" }, listed ".columns measurement")
    assert.equal("cts", inserted ".tables effe")
    assert.same({ "off", "on" }, listed ".time o")
    assert.equal("f", inserted ".time of")
    assert.equal("me/", inserted(".run " .. folder .. "/so"))
    assert.equal("file.lua", inserted(".save " .. folder .. "/some/"))
    assert.equal("hidden", inserted(".run " .. folder .. "/some/."))
    assert.is_nil(inserted ".run /no such folder/x")
    env.my_value = { first = 1 }
    assert.equal("irst", inserted ".page my_value.f")
    assert.equal("cts", inserted ".page sql[[SELECT 1 FROM effe")
    assert.is_nil(inserted ".help s")
  end)

  it("knows recipes", function()
    assert.equal('ipidomics"', inserted 'recipe"l')
    assert.same({ "programs", "proteomics" }, listed "recipe'pro")
  end)

  it("knows the columns of what is at hand", function()
    env.f = require("frame").new({ "one", "only", "two" }, { { 1, 2, 3 } })
    env.hits = require("ligase.words.rows").new { { p = 1 }, columns = { { name = "p_value" }, { name = "feature" } },
      command = "SELECT 1" }
    assert.same({ "one", "only" }, listed 'f:plot("on')
    assert.equal('wo"', inserted 'hist(f, "t')
    assert.equal('eature"', inserted 'hits:plot("p_value", "f')
    assert.equal("_value'", inserted "hits:column 'p")
    assert.equal('_value"', inserted 'plot(hits, "feature", "p')
    assert.equal('wo"', inserted "f:plot('one (first)', \"t")
    assert.is_nil(inserted 'f:width("on')
    assert.is_nil(inserted 'nothing:plot("on')
    local made = support.ligase { "ingest", "--omics", "lipidomics", "--name", "seen", database = url,
      support.tmpfile "lipid,s1,s2\nPC 34:1,1,4\n" }
    assert.equal(0, made.code, made.stderr)
    env.d = words.dataset "seen"
    assert.same({ "s1", "s2" }, listed 'd:plot("s')
    assert.equal('ipid"', inserted 'hist(d, "l')
  end)

  it("knows tables and columns inside sql", function()
    assert.same({ "measurement_values", "measurements" }, listed "sql[[SELECT * FROM measurement")
    assert.equal("ew", inserted "sql[[SELECT * FROM dataset_overvi")
    assert.equal("e", inserted "sql[[SELECT x FROM features AS f JOIN datasets d ON d.nam")
    assert.equal("d_change", inserted("sql[[SELECT log2_fol", " FROM effects"))
    assert.same({ "omics_type", "organism" }, listed("sql[[SELECT d.o", " FROM datasets d WHERE 'it' = 'x FROM y'"))
    assert.equal("ts", inserted 'sql("SELECT 1 FROM effec')
    assert.same({ "feature_names", "feature_type" }, listed "sql'SELECT 1 FROM features WHERE feature_")
  end)

  it("knows datasets and features, of any beginning", function()
    assert.equal("asma ", inserted 'dataset"pl')
    assert.same({ "plasma one", "plasma two" }, listed "datasets('plasma ")
    assert.equal("wo'", inserted "datasets('plasma t")
    assert.equal("wo", inserted("dataset'plasma t", "')"))
    assert.equal("]]", inserted "features[[GENE2999")
    assert.equal("ENE", inserted 'features"G')
    assert.equal('\\"b"', inserted 'features"a')
    assert.equal('b"', inserted 'features"a\\"')
    assert.equal(nil, inserted 'features"z')
    assert.same({ "z\u{E4}1", "z\u{FC}2" }, listed 'features"z')
    assert.is_nil(inserted 'features"no such')
    assert.is_true(listed('features"GENE').is_cut)
  end)

  it("lists as much as fits", function()
    assert.equal("aa  cc\nbb\n", completion.listed({ "aa", "bb", "cc" }, 9))
    assert.equal("aa\nbb\ncc\n", completion.listed({ "aa", "bb", "cc" }, 5))
    local many = {}
    for i = 1, 100 do
      many[i] = "name" .. i
    end
    assert.matches("... and 40 more", completion.listed(many, 80), 1, true)
  end)

  it("goes by an index, however many features there are", function()
    local conn = connection.open()
    conn:script "ANALYZE features; SET enable_seqscan = on"
    local plan = conn:table("EXPLAIN SELECT DISTINCT name FROM features WHERE name >= 'GENE2' "
      .. "AND name < 'GENE2' || chr(1114111) ORDER BY name LIMIT 200")
    local lines = {}
    for i, row in ipairs(plan) do
      lines[i] = row[1]
    end
    assert.matches("features_feature_type_name_unique", table.concat(lines, "\n"), 1, true)
  end)

  it("says why there is none when the database cannot be reached, and then rests", function()
    connection.close()
    sys.setenv("POSTGRES_URL", "postgresql:///nothing?host=/nowhere")
    local other = completion.new(env, {})
    assert.has_error(function() other:complete('dataset"x', "") end)
    assert.is_nil((other:complete('dataset"x', "")))
    other:close()
    connection.close()
    sys.setenv("POSTGRES_URL", url)
  end)
end)
