--- The queue: what is queued, claimed, given back, set aside and taken up.
local errors = require "ligase.base.errors"
local ingesting = require "tests.lua.store.ingesting"
local jobs = require "ligase.store.jobs"
local pg = require "pg"
local sys = require "sys"

local LARGE = 5 << 20

local conn, conninfo

setup(ingesting.open)

before_each(function()
  conn, conninfo = ingesting.fresh()
end)

--- "a:100" is the file /data/a of 100 bytes.
local function files(...)
  local list = {}
  for i, word in ipairs { ... } do
    local name, bytes = word:match("^(%w+):?(%d*)$")
    list[i] = { path = "/data/" .. name, name = name, size_bytes = math.tointeger(tonumber(bytes)) or 100,
      modified_s = 1700000000.25 }
  end
  return list
end

local function queue(key, ...)
  local batch = { key = key, command = "ingest", recipe = "lipidomics", arguments = '{"organism":"human"}' }
  jobs.queue(conn, batch, files(...))
  return batch
end

local function states()
  local found = {}
  for _, row in ipairs(conn:query("SELECT name, state FROM jobs ORDER BY id")) do
    found[#found + 1] = row.name .. " " .. row.state
  end
  return found
end

local DONE = { state = "done", outcome = "ingested" }

--- Names of all files that the claims give, each of them done.
local function work_off(claims)
  local names, job = {}, claims:claim()
  while job do
    names[#names + 1] = job.name
    job = claims:finish(DONE)
  end
  return names
end

describe("a batch", function()
  it("is queued with all that a worker needs to know", function()
    local batch = queue("k", "a", "b")
    assert.is_false(batch.continued)
    local row = conn:query("SELECT * FROM jobs WHERE name = 'b'")[1]
    assert.same({ batch.id, "k", "ingest", "/data/b", "lipidomics", 100, "pending", 0, sys.hostname(), "human" },
      { row.batch_id, row.batch_key, row.command, row.source, row.recipe, row.source_bytes, row.state, row.attempts,
        row.hostname, row.arguments.organism })
  end)

  it("begins with its largest files, and goes on in the order of their paths", function()
    queue("k", "c", "b:6000000", "a", "d:7000000")
    assert.same({ "d", "b", "a", "c" }, work_off(jobs.claims(conn)))
  end)

  it("is gone on with by the same command, with what is new or changed", function()
    local first = queue("k", "a", "b", "c")
    local claims = jobs.claims(conn, first.id)
    claims:claim()
    claims:finish(DONE)
    claims:finish(DONE, true)
    local again = queue("k", "a", "b:200", "c", "d")
    assert.is_true(again.continued)
    assert.equal(first.id, again.id)
    assert.same({ "a done", "b pending", "c pending", "d pending" }, states())
    local counts = jobs.counts(conn, again)
    assert.same({ 4, 3, 1, 0 }, { counts.total, counts.left, counts.before, counts.ingested })
    assert.same({ "b", "c", "d" }, work_off(jobs.claims(conn, again.id)))
  end)

  it("is a new one for another command, and when nothing is left of the first", function()
    local first = queue("k", "a")
    assert.not_equal(first.id, queue("other", "a").id)
    work_off(jobs.claims(conn, first.id))
    local second = queue("k", "a")
    assert.is_false(second.continued)
    assert.not_equal(first.id, second.id)
  end)

  it("does not wait for a file that a worker has claimed", function()
    local batch = queue("k", "a", "b")
    local other <close> = ingesting.connect(conninfo)
    assert.equal("a", jobs.claims(other, batch.id):claim().name)
    conn:script("SET lock_timeout = '2s'")
    queue("k", "a:500", "b", "c")
    conn:script("RESET lock_timeout")
    assert.same({ "a pending", "b pending", "c pending" }, states())
  end)

  it("of many files is queued whole", function()
    local many = {}
    for i = 1, 12001 do
      many[i] = ("f%05d"):format(i)
    end
    local batch = queue("k", table.unpack(many))
    assert.equal(12001, jobs.counts(conn, batch).left)
    assert.equal("f00001", jobs.claims(conn, batch.id):claim().name)
    conn:rollback()
  end)
end)

describe("a claim", function()
  it("keeps others from the file until its transaction ends", function()
    local batch = queue("k", "a:6000000", "b:6000000")
    local other <close> = ingesting.connect(conninfo)
    local one, two = jobs.claims(conn, batch.id), jobs.claims(other, batch.id)
    assert.same({ "a", "b" }, { one:claim().name, two:claim().name })
    local third <close> = ingesting.connect(conninfo)
    local three = jobs.claims(third, batch.id)
    assert.is_nil(three:claim())
    assert.equal("idle", third:transaction_status())
    assert.is_true(three:any_left())
    assert.is_nil(one:finish(DONE))
    two:give_back()
    assert.equal("b", three:claim().name)
    assert.is_nil(three:finish(DONE))
    assert.is_false(three:any_left())
  end)

  it("ends with the worker that held it", function()
    local batch = queue("k", "a")
    local other = ingesting.connect(conninfo)
    assert.equal("a", jobs.claims(other, batch.id):claim().name)
    local claims = jobs.claims(conn, batch.id)
    assert.is_nil(claims:claim())
    conn:query("SELECT pg_terminate_backend($1)", other:pid())
    other:close()
    local job
    for _ = 1, 500 do
      job = claims:claim()
      if job then
        break
      end
      sys.sleep(0.02)
    end
    assert.equal("a", job and job.name)
    claims:give_back()
    assert.same({ "a pending" }, states())
  end)

  it("looks ahead at a small file, which nobody else gets meanwhile, and never at a large one", function()
    local batch = queue("k", "0", "a", "b", "c")
    local other <close> = ingesting.connect(conninfo)
    local one, two = jobs.claims(conn, batch.id), jobs.claims(other, batch.id)
    one:claim()
    one:finish(DONE)
    assert.same({ "a", "b" }, { one.job.name, one.following.name })
    two:claim()
    assert.equal("c", two.job.name)
    assert.equal("b", one:finish(DONE).name)
    assert.is_nil(one.following)
    one:give_back()
    two:give_back()
    conn:query("UPDATE jobs SET source_bytes = $1", LARGE)
    one:claim()
    assert.is_nil(one.following)
    one:give_back()
  end)

  it("finds what was put back before the file claimed last", function()
    local batch = queue("k", "a", "b", "c")
    local other <close> = ingesting.connect(conninfo)
    local dying, claims = jobs.claims(other, batch.id), jobs.claims(conn, batch.id)
    conn:script("UPDATE jobs SET source_bytes = " .. LARGE)
    dying:claim()
    assert.equal("b", claims:claim().name)
    assert.equal("c", claims:finish(DONE).name)
    dying:give_back()
    assert.equal("a", claims:finish(DONE).name)
    assert.is_nil(claims:finish(DONE))
  end)

  it("may leave the first files for later", function()
    local batch = queue("k", "a", "b", "c", "d")
    assert.same({ "c", "d", "a", "b" }, work_off(jobs.claims(conn, batch.id, 2)))
    batch = queue("other", "a", "b")
    assert.same({ "a", "b" }, work_off(jobs.claims(conn, batch.id, 3)))
  end)

  it("is of any batch when none is named, the oldest file first", function()
    queue("k", "b")
    queue("other", "a")
    assert.same({ "b", "a" }, work_off(jobs.claims(conn)))
  end)

  it("says nothing is done when its end fails", function()
    local batch = queue("k", "a")
    local claims = jobs.claims(conn, batch.id)
    claims:claim()
    local done, failure = pcall(claims.finish, claims, { state = "done", outcome = "eaten" })
    assert.is_false(done)
    assert.equal("23514", failure.code)
    claims:give_back()
    assert.equal("idle", conn:transaction_status())
    assert.same({ "a pending" }, states())
  end)
end)

describe("a file set aside", function()
  local function set_aside(batch, name, message)
    local claims = jobs.claims(conn, batch.id)
    local job = claims:claim()
    while job.name ~= name do
      job = claims:finish(DONE)
    end
    claims:finish({ state = "dead", failure = errors.new { kind = "input", code = "ragged", message = message or "no",
      line = 3 } }, true)
  end

  it("keeps its reason, whatever bytes are in it", function()
    local batch = queue("k", "a", "b")
    set_aside(batch, "a", "a NUL \0 and \xFF\xFE")
    local dead = jobs.dead(conn, batch.id, 10)
    assert.equal(1, #dead)
    assert.same({ "/data/a", "ragged", 3, "a NUL \\x00 and \\xFF\\xFE" },
      { dead[1].source, dead[1].error.code, dead[1].error.line, dead[1].error.message })
    assert.equal(1, jobs.counts(conn, batch).dead)
    assert.equal(1, conn:query("SELECT attempts FROM jobs WHERE name = 'a'")[1].attempts)
  end)

  it("is taken up as a batch of its own, with the options of now over those of then", function()
    local batch = queue("k", "a", "b", "c")
    set_aside(batch, "b")
    set_aside(batch, "c")
    local retry = { key = "retry", arguments = '{"decimal":","}' }
    jobs.take_up(conn, retry)
    assert.not_equal(batch.id, retry.id)
    assert.equal(2, jobs.counts(conn, retry).left)
    local row = conn:query("SELECT arguments, recipe, last_error FROM jobs WHERE name = 'b'")[1]
    assert.same({ "human", ",", "lipidomics" }, { row.arguments.organism, row.arguments.decimal, row.recipe })
    assert.same({ "b", "c" }, work_off(jobs.claims(conn, retry.id)))
    assert.equal(pg.null, conn:query("SELECT last_error FROM jobs WHERE name = 'b'")[1].last_error)
    jobs.take_up(conn, retry)
    assert.equal(0, jobs.counts(conn, retry).total)
  end)

  it("is taken up when it is named, and when an earlier retry did not come to it", function()
    local batch = queue("k", "a", "b")
    set_aside(batch, "a")
    set_aside(batch, "b")
    local retry = { key = "retry", arguments = "{}" }
    jobs.take_up(conn, retry, { "/data/b" })
    assert.same({ "a dead", "b pending" }, states())
    jobs.take_up(conn, retry)
    assert.equal(2, jobs.counts(conn, retry).left)
  end)

  it("need not be taken up when it was queued again", function()
    set_aside(queue("k", "a"), "a")
    queue("k", "a")
    assert.same({ "a cancelled", "a pending" }, states())
  end)

  it("can come from a command without a queue", function()
    local batch = { key = "k", command = "ingest", recipe = "lipidomics", arguments = "{}" }
    jobs.note_failure(conn, batch, files("a")[1], errors.new { kind = "input", message = "bad" })
    jobs.note_failure(conn, batch, files("b")[1], errors.new { kind = "input", message = "worse" })
    assert.same({ "a dead", "b dead" }, states())
    assert.equal("worse", jobs.dead(conn, batch.id, 10)[2].error.message)
  end)
end)

describe("what became of a batch", function()
  it("is told file by file, with the revision that each one made", function()
    local batch = queue("k", "a", "b", "c")
    local claims = jobs.claims(conn, batch.id)
    claims:claim()
    local report = ingesting.ingest(conn, { text = "lipid,S1\nA,1\nB,2\n", name = "a" })
    claims:finish { state = "done", outcome = "ingested", run_id = report.run_id, dataset_id = report.dataset_id }
    claims:finish({ state = "dead", failure = errors.new { kind = "input", message = "bad" } }, true)
    local rows = jobs.files(conn, batch.id)
    assert.same({ "/data/a", "done", "ingested", "lipidomics", 1, 2, 2 }, { rows[1].source, rows[1].state,
      rows[1].outcome, rows[1].omics, rows[1].revision, rows[1].rows, rows[1].values })
    assert.is_true(rows[1].seconds >= 0 and rows[1].seconds < 60)
    assert.same({ "dead", "bad", pg.null }, { rows[2].state, rows[2].error.message, rows[2].revision })
    assert.equal("pending", rows[3].state)
  end)
end)
