--- Many statements in one round trip.
local pg = require "pg"
local session = require "tests.host.pg_session"

describe("pg", function()
  local db = session.new()
  local failure, refused, count = db.failure, db.refused, db.count
  local conn

  setup(db.start)

  before_each(function()
    conn = db.open()
  end)

  after_each(db.close)

  describe("pipelines", function()
    it("return one result per statement", function()
      local s = conn:prepare "SELECT $1::int8 AS v"
      local places = {}
      local results = conn:pipeline(function(p)
        for i = 1, 500 do
          places[i] = p:query(s, i)
        end
        places[501] = p:query("SELECT $1::text AS v, $2::text AS w", nil, "x")
      end)
      assert.are.equal(501, #results)
      assert.are.equal(500, results[500][1].v)
      assert.are.same({ v = pg.null, w = "x" }, results[501][1])
      assert.are.equal(501, places[501])
    end)

    it("leave time for something else while the server works", function()
      local other <close> = pg.connect(db.conninfo)
      other:script "SELECT pg_advisory_lock(1)"
      local seen = { calls = 0 }
      local results = conn:pipeline(function(p)
        p:query "SELECT 1 AS v, pg_advisory_lock(1)"
        p:query "SELECT 2 AS v"
      end, function()
        seen.calls = seen.calls + 1
        seen.use, seen.close = failure(conn.query, conn, "SELECT 3"), failure(conn.close, conn)
        other:script "SELECT pg_advisory_unlock(1)" -- before this the pipeline cannot end
      end)
      assert.are.same({ 1, 2 }, { results[1][1].v, results[2][1].v })
      assert.are.equal(1, seen.calls)
      assert.are.equal("usage", seen.use.kind)
      assert.matches("busy", seen.use.message, 1, true)
      assert.are.equal("usage", seen.close.kind)
    end)

    it("call it once when a statement had to be prepared anew, and without statements too", function()
      conn:script "CREATE TEMP TABLE p (a int)"
      local s, calls = conn:prepare "SELECT * FROM p", 0
      local function meanwhile()
        calls = calls + 1
      end
      conn:query(s)
      conn:script "ALTER TABLE p ADD b int"
      conn:pipeline(function(p)
        p:query(s)
      end, meanwhile)
      assert.are.equal(1, calls)
      conn:pipeline(function() end, meanwhile)
      assert.are.equal(2, calls)
    end)

    it("lose a connection that can be closed then", function()
      local lost = pg.connect(db.conninfo)
      local pid = lost:query("SELECT pg_backend_pid() AS pid")[1].pid
      assert.are.equal("database", failure(lost.pipeline, lost, function(p)
        p:query("SELECT pg_terminate_backend($1)", pid)
        p:query "SELECT 1"
      end).kind)
      lost:close()
      assert.is_false(lost:is_open())
    end)

    it("cancel when it raises, and raise its error", function()
      local other <close> = pg.connect(db.conninfo)
      other:script "SELECT pg_advisory_lock(1)"
      conn:begin()
      local e = refused("pipeline", function(p)
        p:query "SELECT pg_advisory_lock(1)" -- for ever
      end, function()
        error({ mine = true })
      end)
      assert.is_true(e.mine)
      assert.are.equal("failed", conn:transaction_status())
      conn:rollback()
      assert.are.equal(7, conn:query("SELECT 7 AS v")[1].v)
    end)

    it("may be empty", function()
      assert.are.same({}, conn:pipeline(function() end))
    end)

    it("raise the first failure and undo everything before it", function()
      conn:script "CREATE TEMP TABLE p (a int PRIMARY KEY)"
      local e = refused("pipeline", function(p)
        p:query "INSERT INTO p VALUES (1)"
        p:query "INSERT INTO p VALUES (1)"
        p:query "INSERT INTO p VALUES (2)"
      end)
      assert.are.equal("23505", e.code)
      assert.are.equal("INSERT INTO p VALUES (1)", e.statement)
      assert.are.equal(2, e.place)
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(0, count "p")
    end)

    it("fail inside a transaction without ending it", function()
      conn:begin()
      assert.are.equal("22012", refused("pipeline", function(p)
        p:query "SELECT 1/0"
      end).code)
      assert.are.equal("failed", conn:transaction_status())
      conn:rollback()
    end)

    it("send nothing when their function raises", function()
      conn:script "CREATE TEMP TABLE p (a int)"
      assert.are.equal("stop", refused("pipeline", function(p)
        p:query "INSERT INTO p VALUES (1)"
        error("stop", 0)
      end))
      assert.are.equal(0, count "p")
    end)

    it("refuse a bad parameter in the call that passes it", function()
      local e = refused("pipeline", function(p)
        p:query("SELECT $1::int", 1)
        p:query("SELECT $1, $2", 1, {})
      end)
      assert.is_truthy(e.message:find("$2", 1, true))
      assert.are.equal("usage", refused("pipeline", function(p)
        p:query "/* x */ copy pg_class TO STDOUT"
      end).kind)
    end)

    it("do not deadlock when both sides send a lot", function()
      local big = ("x"):rep(4 * 1024 * 1024)
      local results = conn:pipeline(function(p)
        for _ = 1, 12 do
          p:query("SELECT $1::text AS v", big)
        end
      end)
      for i = 1, 12 do
        assert.are.equal(#big, #results[i][1].v)
      end
    end)

    it("end with their function", function()
      local kept
      conn:pipeline(function(p)
        kept = p
      end)
      assert.are.equal("usage", failure(kept.query, kept, "SELECT 1").kind)
    end)

    it("may use the connection while they are collected", function()
      local results = conn:pipeline(function(p)
        p:query("SELECT $1::int AS v", conn:query("SELECT 3 AS v")[1].v)
      end)
      assert.are.equal(3, results[1][1].v)
    end)
  end)
end)
