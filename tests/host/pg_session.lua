--- What the specs of the Postgres primitive share: one database per file, one fresh
--- connection per test.
local pg = require "pg"
local support = require "tests.support"
local sys = require "sys"

local M = {}

--- The functions of one spec file. start() belongs into setup, open() into
--- before_each, close() into after_each; the others work on the open connection.
function M.new()
  local db = {} -- conninfo once started, conn while open

  function db.start()
    db.conninfo = support.database()
  end

  function db.open()
    db.conn = pg.connect(db.conninfo)
    return db.conn
  end

  function db.close()
    db.conn:close()
  end

  --- What a call raises; it is a mistake when it raises nothing.
  function db.failure(fn, ...)
    local ok, problem = pcall(fn, ...)
    if ok then
      error("nothing was raised", 2)
    end
    return problem
  end

  --- What a method of the connection raises.
  function db.refused(method, ...)
    return db.failure(db.conn[method], db.conn, ...)
  end

  --- One value, from an expression with parameters.
  function db.value(expression, ...)
    return db.conn:query("SELECT " .. expression .. " AS v", ...)[1].v
  end

  function db.count(from, ...)
    return db.conn:query("SELECT count(*) AS n FROM " .. from, ...)[1].n
  end

  --- Ends the server's side of a connection and waits until it is gone.
  function db.terminate(pid)
    local other <close> = pg.connect(db.conninfo)
    other:query("SELECT pg_terminate_backend($1)", pid)
    for _ = 1, 100 do
      if #other:query("SELECT 1 FROM pg_stat_activity WHERE pid = $1", pid) == 0 then
        sys.sleep(0.1) -- its socket is closed a moment later
        return
      end
      sys.sleep(0.02)
    end
    error("the backend did not end")
  end

  return db
end

return M
