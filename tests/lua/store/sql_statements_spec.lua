local sql_statements = require "ligase.store.sql_statements"
local migrate = require "ligase.store.migrate"
local sys = require "sys"

--- The endings of transactions in a script, each with its line.
local function endings(sql)
  local found = {}
  for _, statement in ipairs(sql_statements.read(sql)) do
    local ending = sql_statements.end_of_transaction(statement)
    found[#found + 1] = ending and ("%s:%d"):format(ending, statement.line)
  end
  return found
end

describe("sql_statements", function()
  it("finds what ends a transaction, with its line", function()
    assert.same({ "COMMIT:3" }, endings "CREATE TABLE a (x integer);\n\n  commit;")
    assert.same({ "COMMIT:1", "END:1", "ABORT:1", "ROLLBACK:1", "ROLLBACK:1" },
      endings "COMMIT AND CHAIN; END WORK; abort; ROLLBACK; ROLLBACK WORK AND CHAIN")
    assert.same({ "PREPARE TRANSACTION:2" }, endings "SELECT 1;\nPREPARE /* this */ -- one\nTRANSACTION 'x';")
    assert.same({ "COMMIT:1" }, endings "/* first */ COMMIT")
    assert.same({ "COMMIT:2" }, endings "SELECT 'it''s', E'\\'', \"a\"\"b\", $$;$$;\nCOMMIT;")
    assert.same({ "COMMIT:3" }, endings("CREATE FUNCTION f() RETURNS integer LANGUAGE sql\nBEGIN ATOMIC SELECT CASE "
      .. "WHEN true THEN 1 END; END;\nCOMMIT;"))
  end)

  it("passes over what only looks like it", function()
    assert.same({}, endings "-- COMMIT;\n/* ; COMMIT; /* ; COMMIT; */ ; COMMIT; */ SELECT 1;")
    assert.same({}, endings "SELECT '; COMMIT;', E'\\'; COMMIT;', \"; COMMIT;\", $a$; COMMIT; $$; COMMIT; $a$;")
    assert.same({}, endings "SAVEPOINT a; ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a; RELEASE a;")
    assert.same({}, endings "PREPARE commit AS SELECT 1; COMMIT PREPARED 'x'; ROLLBACK PREPARED 'x';")
    assert.same({}, endings "COMMENT ON TABLE a IS 'x'; SELECT a AS commit; SELECT $1; SELECT a$b$ FROM c; SELECT 1")
    assert.same({}, endings "CREATE RULE r AS ON DELETE TO a DO ALSO (SELECT 1; SELECT 2);")
    assert.same({}, endings "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO a VALUES (1); END; SELECT 1;")
    assert.same({}, endings "DO $body$ BEGIN COMMIT; END $body$;")
    for _, unfinished in ipairs { "SELECT '; COMMIT;", "/* ; COMMIT;", "SELECT $a$; COMMIT;", 'SELECT "; COMMIT;' } do
      assert.same({}, endings(unfinished))
    end
  end)

  it("finds none in ligase's own steps", function()
    for _, step in ipairs(migrate.files()) do
      assert.same({}, endings(sys.read_file(step.up_path)))
      assert.same({}, endings(sys.read_file(step.down_path)))
    end
  end)
end)
