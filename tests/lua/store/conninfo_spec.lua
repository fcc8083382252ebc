local conninfo = require "ligase.store.conninfo"

describe("conninfo", function()
  it("keeps the password out of what names the server", function()
    for given, expected in pairs {
      ["postgresql://ann:s%20ecret@db:5433/omics"] = { "postgresql://ann@db:5433/omics", "s ecret" },
      ["postgresql://ann@db/o?password=a%26b&sslmode=require"] = { "postgresql://ann@db/o?sslmode=require", "a&b" },
      ["postgresql://db/omics?sslmode=require&password=x"] = { "postgresql://db/omics?sslmode=require", "x" },
      ["postgresql://db/omics"] = { "postgresql://db/omics" },
      ["host=db password=secret dbname=omics"] = { "host=db  dbname=omics", "secret" },
      [ [[password = 'it\'s one' host=db]] ] = { "host=db", "it's one" },
      ["host=db passfile=/x"] = { "host=db passfile=/x" },
    } do
      local words, password = conninfo.split(given)
      assert.same(expected, { words, password }, given)
    end
    local words, password = conninfo.split { host = "it's", port = 5, password = "x" }
    assert.same({ [[host='it\'s' port='5']], "x" }, { words, password })
  end)

  it("names another database of the same server", function()
    assert.equal("postgresql://db/omics?dbname=other", conninfo.with_database("postgresql://db/omics", "other"))
    assert.equal("postgresql:///x?host=/run&dbname=other", conninfo.with_database("postgresql:///x?host=/run", "other"))
    assert.equal("host=db dbname=x dbname=other", conninfo.with_database("host=db dbname=x", "other"))
    assert.equal("dbname=other", conninfo.with_database("omics", "other"))
    assert.same({ host = "db", dbname = "other" }, conninfo.with_database({ host = "db", dbname = "x" }, "other"))
  end)
end)
