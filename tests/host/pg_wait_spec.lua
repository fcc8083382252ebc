--- Waiting: for notifications, and until somebody has had enough.
local pg = require "pg"
local session = require "tests.host.pg_session"
local sys = require "sys"

describe("pg", function()
  local db = session.new()
  local failure, refused, value = db.failure, db.refused, db.value
  local conn

  setup(db.start)

  before_each(function()
    conn = db.open()
  end)

  after_each(db.close)

  describe("notifications", function()
    it("travel between connections", function()
      local other <close> = pg.connect(db.conninfo)
      conn:listen 'Jobs "new"'
      other:notify('Jobs "new"', "héllo")
      assert.are.same({ channel = 'Jobs "new"', payload = "héllo", pid = other:pid() },
        conn:wait_notification(5))
      other:notify 'Jobs "new"'
      other:notify('Jobs "new"', "second")
      assert.are.equal("", conn:wait_notification(5).payload)
      assert.are.equal("second", conn:wait_notification(5).payload)
      conn:unlisten 'Jobs "new"'
      other:notify('Jobs "new"', "unheard")
      assert.is_nil(conn:wait_notification(0.05))
    end)

    it("that came with another answer are kept", function()
      conn:listen "here"
      conn:query "SELECT pg_notify('here', 'x')"
      assert.are.equal("x", conn:wait_notification(0).payload)
      assert.is_nil(conn:wait_notification(0))
    end)

    it("are waited for as long as was said", function()
      local start = sys.monotonic()
      assert.is_nil(conn:wait_notification(0.1))
      local waited = sys.monotonic() - start
      assert.is_true(waited >= 0.09 and waited < 2, waited)
      assert.are.equal("usage", refused("wait_notification", -1).kind)
    end)
  end)

  describe("stopping", function()
    it("a COPY with cancel", function()
      local chunks = conn:copy_out "COPY (SELECT generate_series(1, 100000000)) TO STDOUT"
      chunks()
      conn:cancel()
      local e = failure(function()
        repeat until not chunks()
      end)
      assert.are.equal("57014", e.code)
      assert.are.equal(1, value "1")
    end)

    it("a statement from another connection", function()
      conn:script "SET statement_timeout = '50ms'"
      assert.are.equal("57014", refused("query", "SELECT pg_sleep(30)").code)
      assert.is_true(conn:is_open())
    end)

    --- Sends this process a signal a moment from now.
    local function interrupt_soon()
      return sys.spawn { "sh", "-c", "sleep 0.2; kill -INT " .. sys.pid() }
    end

    --- A statement that does not end by the first request to cancel it: as if that had come
    --- before the server had begun, and had been lost.
    local DEAF_ONCE = [[DO $$ BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN
      PERFORM pg_sleep(60); END $$]]

    it("a statement asks again when a request to cancel was lost", function()
      local signal <close> = interrupt_soon() -- luacheck: ignore 211
      local e = failure(function() conn:query(DEAF_ONCE) end)
      assert.are.equal("interrupted", e.kind)
      assert.are.equal(1, value "1") -- the connection was kept
    end)

    it("a pipeline asks again too, where what runs meanwhile raises", function()
      conn:begin()
      local e = refused("pipeline", function(p) p:query(DEAF_ONCE) end, function()
        sys.sleep(0.1) -- it has begun by then
        error { mine = true }
      end)
      assert.is_true(e.mine)
      conn:rollback()
      assert.are.equal(1, value "1")
    end)

    it("a long answer with a signal", function()
      local signal <close> = interrupt_soon() -- luacheck: ignore 211
      local e = failure(function() conn:query "SELECT repeat('x', 1000) FROM generate_series(1, 1000000000)" end)
      assert.are.equal("interrupted", e.kind)
      assert.are.equal(1, value "1")
    end)

    it("a statement with a signal", function()
      local child = interrupt_soon()
      local start = sys.monotonic()
      local e = refused("transaction", function()
        conn:query "SELECT pg_sleep(30)"
      end)
      child:wait()
      child:close()
      assert.are.equal("interrupted", e.kind)
      assert.is_true(sys.monotonic() - start < 10)
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(1, value "1")
    end)

    it("a pipeline, a COPY and a wait with a signal", function()
      for _, work in ipairs {
        function() conn:pipeline(function(p) p:query "SELECT 1" p:query "SELECT pg_sleep(30)" end) end,
        function() conn:copy_out "COPY (SELECT pg_sleep(30)) TO STDOUT"() end,
        function() conn:wait_notification(30) end,
      } do
        local child = interrupt_soon()
        local e = failure(work)
        child:wait()
        child:close()
        assert.are.equal("interrupted", e.kind)
        collectgarbage()
        assert.are.equal("idle", conn:transaction_status())
        assert.are.equal(1, value "1")
      end
    end)
  end)
end)
