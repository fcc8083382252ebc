--- kill -9 of workers and of their command at many moments of a batch: the same command
--- again, and every file is there once.
---
--- LIGASE_TEST_KILLS=200 makes it the long test: 200 moments of 1,000 files.
local host = require "host"
local ledger = require "tests.faults.ledger"
local support = require "tests.support"
local sys = require "sys"
local text = require "ligase.base.text"

local KILLS = math.tointeger(tonumber(sys.getenv "LIGASE_TEST_KILLS" or "")) or 40
local FILES = 5 * KILLS
local ROWS, COLUMNS = 400, 10
--- Between two moments at most: a command needs about a quarter of it to begin its work.
local PAUSE_MOST_S = 0.28

--- The same moments in every run.
local function seeded(seed)
  return function()
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed / 2147483648
  end
end

--- Every row of every dataset, in an order of their own.
local HASH = [[
SELECT md5(string_agg(line, '' ORDER BY line)) AS hash FROM (
  SELECT md5(ROW(d.omics_type, d.name, m.revision, m.ordinal, m.feature_key, m.source_name, m.values, m.texts,
    m.cells)::text) AS line
  FROM measurements AS m JOIN datasets AS d ON d.id = m.dataset_id) AS lines]]

--- Files that did not leave one job that ingested them, one revision and one run that ended
--- well. When the last file is done while the command is begun again, that finds nothing
--- left and looks at all files anew: jobs of that kind found them unchanged.
local NOT_ONCE = [[
SELECT j.source, array_agg(j.state || ' ' || coalesce(j.outcome, '')) AS states, count(r.revision) AS revisions
FROM jobs AS j LEFT JOIN revisions AS r ON r.run_id = j.run_id AND r.dataset_id = j.dataset_id AND r.revision = 1
LEFT JOIN runs AS u ON u.id = r.run_id AND u.outcome = 'done'
GROUP BY 1 HAVING NOT (bool_and(j.state = 'done') AND count(*) FILTER (WHERE j.outcome = 'ingested') = 1
  AND count(r.revision) = 1 AND count(u.id) = 1)]]

describe("kill -9 of a batch", function()
  local folder

  setup(function()
    folder = support.workspace()
    for i = 1, FILES do
      -- Some names are everybody's, some are the file's own.
      local tag = i % 4 == 0 and "names of " .. i or "known"
      sys.write_file(("%s/file_%04d.csv"):format(folder, i), ("%sr%d%s\n"):format(ledger.table(ROWS, COLUMNS, tag), i,
        (",1.5"):rep(COLUMNS)))
    end
  end)

  local function words()
    return { host.executable, "ingest", folder, "--jobs", "2" }
  end

  local function start(url)
    return sys.spawn(words(), { env = { POSTGRES_URL = url }, stdout = "null", stderr = "null" })
  end

  local function run(url)
    local result = support.ligase { "ingest", folder, "--jobs", "2", database = url, timeout_s = 600 }
    assert.equal(0, result.code, result.stdout .. result.stderr)
    return result.stdout
  end

  local function children_of(pid)
    local file, pids = io.open(("/proc/%d/task/%d/children"):format(pid, pid)), {}
    for child in (file and file:read("a") or ""):gmatch("%d+") do
      pids[#pids + 1] = math.tointeger(tonumber(child))
    end
    if file then
      file:close()
    end
    return pids
  end

  --- Whether every file was done; before the first is queued, none was.
  local function is_over(conn)
    return conn:query("SELECT count(*) > 0 AND bool_and(state = 'done') AS over FROM jobs")[1].over == true
  end

  local function count(conn, tbl)
    return conn:query("SELECT count(*) AS n FROM " .. tbl)[1].n
  end

  --- Kills a worker, or the command with or without its workers. Returns the command when
  --- it still runs.
  local function strike(command, random)
    local workers, chance = children_of(command:pid()), random()
    if chance < 0.7 and #workers > 0 then
      sys.kill(workers[math.floor(random() * #workers) + 1], "KILL")
      return command
    end
    command:kill("KILL")
    command:wait(10)
    command:close()
    if chance > 0.85 then
      for _, pid in ipairs(workers) do
        sys.kill(pid, "KILL")
      end
    end
  end

  --- Kills at so many moments, or until every file was done.
  ---@return integer kills
  local function disturb(conn, url, random, most)
    local kills, command = 0, nil
    while kills < most and not is_over(conn) do
      command = command or start(url)
      sys.sleep(random() * PAUSE_MOST_S)
      if command:wait(0) then
        command:close()
        command = nil -- it was killed too often, or quicker than expected
      else
        command = strike(command, random)
        kills = kills + 1
      end
    end
    if command then
      command:kill("KILL")
      command:wait(10)
      command:close()
    end
    return kills
  end

  local function check(conn, hash)
    assert.is_true(ledger.wait_until_quiet(conn))
    local wrong = conn:query(NOT_ONCE)
    assert.equal(0, #wrong, wrong[1] and wrong[1].source .. ": " .. table.concat(wrong[1].states, ", "))
    assert.equal(FILES, conn:query("SELECT count(DISTINCT source) AS n FROM jobs")[1].n)
    assert.same({ datasets = FILES, revisions = FILES }, { datasets = count(conn, "datasets"),
      revisions = count(conn, "revisions") })
    assert.same({}, ledger.torn(conn))
    assert.equal(hash, conn:query(HASH)[1].hash)
  end

  --- A quick machine is done with the files before there were so many moments: then anew.
  it(("at %d moments, then the same command: no file lost, none twice #slow"):format(KILLS), function()
    local whole, whole_url = support.migrated()
    run(whole_url)
    local hash, random, kills = whole:query(HASH)[1].hash, seeded(20260103), 0
    while kills < KILLS do
      local conn, url = support.migrated()
      local added = disturb(conn, url, random, KILLS - kills)
      assert.is_true(added > 0, "no moment came before the end")
      kills = kills + added
      if not is_over(conn) then
        assert.matches(text.count(FILES, "file") .. ": ", run(url), 1, true)
      end
      check(conn, hash)
    end
  end)
end)
