--- COPY ... TO STDOUT as an iterator.
local session = require "tests.host.pg_session"

describe("pg", function()
  local db = session.new()
  local failure, refused, value = db.failure, db.refused, db.value
  local conn

  setup(db.start)

  before_each(function()
    conn = db.open()
  end)

  after_each(db.close)

  describe("copy_out", function()
    it("yields whole rows", function()
      local all = {}
      for chunk in conn:copy_out "COPY (SELECT i FROM generate_series(1, 100000) i) TO STDOUT" do
        assert.are.equal("\n", chunk:sub(-1))
        all[#all + 1] = chunk
      end
      local text = table.concat(all)
      assert.is_true(#all > 1)
      assert.are.equal("1\n2\n3\n", text:sub(1, 6))
      local _, lines = text:gsub("\n", "")
      assert.are.equal(100000, lines)
      assert.are.equal(1, value "1")
    end)

    it("yields nothing for nothing, and binary as it is", function()
      assert.is_nil(conn:copy_out "COPY (SELECT 1 WHERE false) TO STDOUT"())
      local binary = conn:copy_out "COPY (SELECT 1) TO STDOUT (FORMAT binary)"
      assert.are.equal("PGCOPY\n\255\r\n\0", binary():sub(1, 11))
      assert.is_nil(binary())
      assert.is_nil(binary())
    end)

    it("is drained when the loop is left early", function()
      for chunk in conn:copy_out "COPY (SELECT generate_series(1, 5000000)) TO STDOUT" do
        if #chunk > 0 then
          break
        end
      end
      assert.are.equal("idle", conn:transaction_status())
      assert.are.equal(1, value "1")
      local chunks = conn:copy_out "COPY (SELECT generate_series(1, 5000000)) TO STDOUT"
      assert.is_string(chunks())
      chunks:close()
      chunks:close()
      assert.is_nil(chunks())
      assert.are.equal(1, value "1")
    end)

    it("is drained when it is forgotten", function()
      conn:copy_out "COPY (SELECT generate_series(1, 5000000)) TO STDOUT"()
      collectgarbage()
      collectgarbage()
      assert.are.equal("idle", conn:transaction_status())
    end)

    it("occupies the connection", function()
      local chunks <close> = conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
      for _, method in ipairs { "query", "prepare", "script", "copy_out" } do
        assert.are.equal("usage", refused(method, "SELECT 1").kind)
      end
      assert.are.equal("usage", refused("pipeline", print).kind)
      assert.are.equal("usage", refused("transaction", print).kind)
      assert.are.equal("active", conn:transaction_status())
      assert.is_string(chunks())
    end)

    it("does not disturb what came after it", function()
      conn:begin()
      local old = conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
      old()
      old:close()
      conn:rollback()
      local stale
      refused("transaction", function()
        stale = conn:copy_out "COPY (SELECT generate_series(1, 1000000)) TO STDOUT"
        error "leave it open"
      end)
      local n = 0
      for chunk in conn:copy_out "COPY (SELECT generate_series(1, 200000)) TO STDOUT" do
        n = n + #chunk
        if stale then
          assert.are.equal("usage", failure(stale).kind)
          stale = nil
          collectgarbage()
        end
      end
      assert.are.equal(1288895, n)
    end)

    it("raises what the server says, at the start and in the middle", function()
      assert.are.equal("42P01", refused("copy_out", "COPY no_such_table TO STDOUT").code)
      assert.are.equal("usage", refused("copy_out", "SELECT 1").kind)
      conn:script "CREATE TEMP TABLE t (a int)"
      assert.are.equal("usage", refused("copy_out", "COPY t FROM STDIN").kind)
      local e = failure(function()
        local chunks = conn:copy_out "COPY (SELECT 1 / (100000 - i) FROM generate_series(1, 100000) i) TO STDOUT"
        repeat until not chunks()
      end)
      assert.are.equal("22012", e.code)
      assert.are.equal(1, value "1")
    end)
  end)
end)
