--- Transactions, and what is known when their connection is lost.
local pg = require "pg"
local session = require "tests.host.pg_session"

describe("pg", function()
  local db = session.new()
  local failure, refused, count, terminate = db.failure, db.refused, db.count, db.terminate
  local conn

  setup(db.start)

  before_each(function()
    conn = db.open()
  end)

  after_each(db.close)

  describe("transactions", function()
    before_each(function()
      conn:script "CREATE TEMP TABLE t (a int)"
    end)

    local function add(n)
      conn:query("INSERT INTO t VALUES ($1)", n)
    end

    it("commit and return what the function returns", function()
      local function work(a, b)
        add(a)
        return b, nil, "c", nil
      end
      assert.are.same(table.pack("b", nil, "c", nil), table.pack(conn:transaction(work, 1, "b")))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(1, count "t")
    end)

    it("roll back and let the error go on as it is", function()
      local thrown = setmetatable({}, { __tostring = error })
      for _, e in ipairs { thrown, "text", 42, true, print } do
        assert.are.equal(e, refused("transaction", function()
          add(1)
          error(e, 0)
        end))
      end
      assert.is_nil(refused("transaction", function()
        error(nil)
      end))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "t")
    end)

    it("nest as savepoints", function()
      conn:transaction(function()
        add(1)
        assert.are.equal("inner", refused("transaction", function()
          add(2)
          conn:transaction(add, 3)
          error("inner", 0)
        end))
        assert.are.equal("in transaction", conn:transaction_status())
        conn:transaction(add, 4)
      end)
      assert.are.same({ { a = 1 }, { a = 4 } }, { table.unpack(conn:query "SELECT a FROM t ORDER BY a") })
    end)

    it("nest inside one begun by hand", function()
      conn:begin()
      conn:transaction(add, 1)
      assert.are.equal("in transaction", conn:transaction_status())
      conn:rollback()
      assert.are.equal(0, count "t")
    end)

    it("recover from a failed statement in a nested one", function()
      conn:transaction(function()
        add(1)
        assert.are.equal("22012", refused("transaction", function()
          conn:query "SELECT 1/0"
        end).code)
        add(2)
      end)
      assert.are.equal(2, count "t")
    end)

    it("do not commit silently what a swallowed error undid", function()
      local e = refused("transaction", function()
        add(1)
        pcall(conn.query, conn, "SELECT 1/0")
      end)
      assert.are.equal("database", e.kind)
      assert.are.equal("25P02", e.code)
      assert.are.equal("division by zero", e.detail)
      assert.are.equal(0, count "t")

      conn:transaction(function() -- swallowed one level down, and undone there
        assert.are.equal("25P02", refused("transaction", function()
          add(2)
          pcall(conn.query, conn, "SELECT 1/0")
        end).code)
        add(3)
      end)
      assert.are.same({ a = 3 }, conn:query("SELECT a FROM t")[1])
    end)

    it("refuse a COMMIT that the server answers with ROLLBACK", function()
      for _, commit in ipairs {
        function() conn:commit() end,
        function() conn:query "COMMIT" end,
        function() conn:script "END" end,
        function() conn:pipeline(function(p) p:query "COMMIT" end) end,
      } do
        conn:begin()
        add(1)
        refused("query", "SELECT 1/0")
        local e = failure(commit)
        assert.are.equal("25P02", e.code)
        assert.are.equal("division by zero", e.detail)
        assert.are.equal("idle", conn:transaction_status())
      end
      assert.are.equal(0, count "t")
    end)

    it("raise what a deferred constraint says at COMMIT", function()
      conn:script "CREATE TEMP TABLE d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
      local e = refused("transaction", function()
        conn:query "INSERT INTO d VALUES (1), (1)"
      end)
      assert.are.equal("23505", e.code)
      assert.is_nil(e.unknown_outcome)
      assert.are.equal("idle", conn:transaction_status())
    end)

    it("are not ended behind their back", function()
      for _, method in ipairs { "begin", "commit", "rollback" } do
        assert.are.equal("usage", refused("transaction", function()
          conn[method](conn)
        end).kind)
      end
      assert.are.equal("usage", refused("transaction", function()
        conn:query "ROLLBACK"
      end).kind)
      assert.are.equal("usage", refused("transaction", function()
        conn:close()
      end).kind)
    end)

    it("by hand", function()
      conn:begin()
      assert.are.equal("in transaction", conn:transaction_status())
      assert.are.equal("usage", refused("begin").kind)
      add(1)
      conn:commit()
      assert.are.equal("usage", refused("commit").kind)
      conn:begin()
      add(2)
      assert.is_true(conn:rollback())
      assert.is_false(conn:rollback())
      assert.are.equal(1, count "t")
    end)

    it("inside a failed one say why they cannot begin", function()
      conn:begin()
      refused("query", "SELECT 1/0")
      local e = refused("transaction", print)
      assert.are.equal("25P02", e.code)
      assert.are.equal("division by zero", e.detail)
    end)

    it("roll back when a coroutine ends with an error, and cannot be left by a yield", function()
      local ok, e = coroutine.resume(coroutine.create(function()
        conn:transaction(function()
          add(1)
          coroutine.yield()
        end)
      end))
      assert.is_false(ok)
      assert.is_truthy(tostring(e):find("yield", 1, true))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "t")
    end)

    it("drain a COPY that was left open", function()
      assert.are.equal("usage", refused("transaction", function()
        add(1)
        conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
      end).kind)
      assert.are.equal("stop", refused("transaction", function()
        conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"()
        error("stop", 0)
      end))
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "t")
    end)
  end)

  describe("lost connections", function()
    --- A table whose rows end the connection when they are committed.
    local function make_doomed()
      conn:script [[
        CREATE TABLE IF NOT EXISTS doomed (a int);
        CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5); RETURN NULL; END $$;
        DROP TRIGGER IF EXISTS die ON doomed;
        CREATE CONSTRAINT TRIGGER die AFTER INSERT ON doomed DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION die()]]
    end

    it("are an error with a code, and stay one", function()
      terminate(conn:pid())
      local e = refused("query", "SELECT 1")
      assert.are.equal("database", e.kind)
      assert.is_truthy(e.code == "57P01" or e.code == "08006", e.code)
      assert.is_false(conn:is_open())
      assert.are.equal("unknown", conn:transaction_status())
      e = refused("query", "SELECT 1")
      assert.are.equal("08006", e.code)
      assert.is_nil(e.unknown_outcome)
    end)

    it("while a statement runs leave its outcome unknown", function()
      local e = refused("query", "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")
      assert.are.equal("57P01", e.code)
      assert.is_true(e.unknown_outcome)
    end)

    it("in a pipeline", function()
      local e = refused("pipeline", function(p)
        p:query "SELECT 1"
        p:query "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"
        p:query "SELECT 2"
      end)
      assert.are.equal("57P01", e.code)
      assert.are.equal(2, e.place)
      assert.is_true(e.unknown_outcome)
      assert.is_false(conn:is_open())
    end)

    it("let the error of a transaction's function go on", function()
      local e = refused("transaction", function()
        terminate(conn:pid())
        error("mine", 0)
      end)
      assert.are.equal("mine", e)
    end)

    it("before COMMIT is sent are just lost", function()
      local e = refused("transaction", function()
        terminate(conn:pid())
      end)
      assert.are.equal("08006", e.code)
      assert.is_nil(e.unknown_outcome)
    end)

    it("after COMMIT is sent are unknown", function()
      make_doomed()
      local e = refused("transaction", function()
        conn:query "INSERT INTO doomed VALUES (1)"
      end)
      assert.are.equal("database", e.kind)
      assert.are.equal("08007", e.code)
      assert.is_true(e.unknown_outcome)
      assert.is_truthy(e.hint)
    end)

    it("after a COMMIT in a pipeline is sent are unknown", function()
      make_doomed()
      conn:begin()
      local e = refused("pipeline", function(p)
        p:query "INSERT INTO doomed VALUES (1)"
        p:query "COMMIT"
      end)
      assert.are.equal("database", e.kind)
      assert.are.equal(2, e.place)
      assert.is_true(e.unknown_outcome)
    end)

    it("before a COMMIT in a pipeline is sent are just lost", function()
      conn:begin()
      terminate(conn:pid())
      local e = refused("pipeline", function(p)
        p:query "COMMIT"
      end)
      assert.is_nil(e.unknown_outcome)
    end)

    it("while waiting and while copying", function()
      terminate(conn:pid())
      assert.are.equal("database", refused("wait_notification", 5).kind)
      local other <close> = pg.connect(db.conninfo)
      local chunks = other:copy_out "COPY (SELECT generate_series(1, 3000000)) TO STDOUT"
      chunks()
      terminate(other:pid())
      local e = failure(function()
        repeat until not chunks()
      end)
      assert.are.equal("database", e.kind)
      chunks:close()
    end)
  end)
end)
