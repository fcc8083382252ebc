--- A worker: takes files from the queue, one transaction each, until there are none.
---
--- While Postgres stores one file, the worker looks at the one it will probably get next.
--- The claim is only made with the next transaction; when another worker was quicker, the
--- look was for nothing and nothing else happened.
local errors = require "ligase.base.errors"
local failing = require "ligase.cli.failing"
local ingest = require "ligase.intake.ingest"
local jobs = require "ligase.store.jobs"
local json = require "ligase.base.json"
local parenthood = require "ligase.cli.parenthood"
local pg = require "pg"
local recipes = require "ligase.omics.recipes"
local requests = require "ligase.cli.requests"
local runs = require "ligase.store.runs"
local scoring_ingested = require "ligase.cli.scoring_ingested"
local sys = require "sys"

local M = {}

--- Pauses while the last files are others' work: a worker that dies puts its file back.
local SHORT_PAUSE_S, LONG_PAUSE_S = 0.02, 0.5
--- Between two looks into an empty queue.
local WATCH_PAUSE_S = 1
--- A lost connection is made again that often without a file done in between; a worker
--- that watches goes on for ever.
local RECONNECTS, RECONNECT_PAUSE_S, RECONNECT_PAUSE_MOST_S = 3, 0.5, 30

---@class ligase.working_options
---@field batch_id string|nil only files of this batch
---@field once boolean|nil ends after one file
---@field watch boolean|nil waits for files
---@field skip integer|nil so many of the first files are left for later
---@field parent_pid integer|nil ends when that process is gone
---@field tell (fun(job: ligase.job, request: ligase.request|nil, report: table|nil, failure: any))|nil called when a
--- file's outcome is in the database

---@class ligase.worker
---@field claims ligase.claims
---@field done integer
---@field failed integer
---@field stopping boolean|nil
---@field is_orphan fun(): boolean the process that started this worker is gone

-- ---- one file --------------------------------------------------------------

--- The recipe a job was queued with; on another machine it may lie elsewhere under its name.
local function load_recipe(recipe)
  local is_here = sys.stat(recipe) ~= nil
  return recipes.load(is_here and recipe or recipe:match("([^/]+)%.lua$") or recipe)
end

--- Recipe and options of a job: those of the last one when they are the same.
local function shared_of(self, job)
  local recipe_name = job.recipe ~= pg.null and job.recipe or nil
  local key = table.concat({ job.command, recipe_name or "", job.arguments }, "\0")
  if not self.shared or self.shared.key ~= key then
    local arguments = json.decode(job.arguments)
    arguments.set = arguments.set or {}
    recipe_name = recipe_name or arguments.omics
    self.resolvers = self.resolvers or requests.resolvers(self.context, self.claims.conn)
    self.shared = { key = key, recipe = recipe_name and load_recipe(recipe_name) or nil,
      options = requests.options_of(arguments, self.context, job.command, self.resolvers) }
  end
  return self.shared
end

local function request_of(self, job)
  local shared = shared_of(self, job)
  return ingest.request(job.source, shared.recipe, requests.options_for(shared.options, job.name, job.batch_id))
end

local function forget_looked(self)
  local ahead = self.ahead
  self.ahead = nil
  if ahead then
    getmetatable(ahead.request).__close(ahead.request)
  end
end

--- What the files so far shared: the next one loads it anew.
local function forget_shared(self)
  forget_looked(self)
  if self.resolvers and self.resolvers.aliases then
    self.resolvers.aliases:close()
  end
  self.shared, self.resolvers, self.scorer = nil, nil, nil
end

--- Looks at a file ahead. What is wrong with it will be said when its turn comes.
local function look_ahead(self, job)
  local looked, request = errors.try(function()
    local request = request_of(self, job)
    ingest.look(request)
    return request
  end)
  self.ahead = looked and { id = job.id, request = request } or nil
end

--- The request for a job, looked at already or not.
local function take_request(self, job)
  local ahead = self.ahead
  if ahead and ahead.id == job.id then
    self.ahead = nil
    return ahead.request
  end
  forget_looked(self)
  return request_of(self, job)
end

local function store(self, job)
  local request <close> = take_request(self, job)
  self.request = request
  local following = self.claims.following
  request.meanwhile = following and function()
    look_ahead(self, following)
  end
  local started = sys.monotonic()
  local report = ingest.store(self.claims.conn, request)
  self.scorer = self.scorer or scoring_ingested.new(self.context.config)
  report.scores = self.scorer:score(self.claims.conn, request.name, report)
  report.seconds = sys.monotonic() - started
  return report
end

--- A change of phase holds from the next file on: it may ask for other rows in the outbox, or for
--- none to be written at all.
local function notice_phase(self, job)
  if self.phase ~= job.phase then
    self.phase = job.phase
    self.context:forget_phase()
    forget_shared(self)
  end
end

--- Journals the failure in the transaction that sets the file aside.
local function journal(self, job, failure)
  local shared = shared_of(self, job)
  local run = self.request and self.request.run or runs.new(job.command, shared.recipe, { source = job.source,
    name = job.name }, job.batch_id)
  local conn = self.claims.conn
  return errors.try(conn.transaction, conn, runs.journal_failure, conn, run, failure) and run.id or nil
end

--- Ingests the claimed file, or sets it aside, and claims the next one.
---@return ligase.job|nil
local function work_on(self, job)
  notice_phase(self, job)
  shared_of(self, job) -- a recipe that cannot be loaded is not the file's fault
  self.request = nil
  local done, result = xpcall(store, errors.explained, self, job)
  local outcome
  if done then
    self.done = self.done + 1
    outcome = { state = "done", outcome = result.outcome == "unchanged" and "unchanged" or "ingested",
      run_id = result.run_id, dataset_id = result.dataset_id }
  elseif failing.is_final(result) and result.kind ~= "internal" then
    result.file = result.file or job.source
    error(result, 0)
  else
    self.failed = self.failed + 1
    outcome = { state = "dead", run_id = journal(self, job, result), failure = result }
  end
  local next_job = self.claims:finish(outcome, self:is_over())
  self.tries = 0
  if self.options.tell then
    self.options.tell(job, self.request, done and result or nil, not done and result or nil)
  end
  return next_job
end

-- ---- all files -------------------------------------------------------------

local Worker = {}
Worker.__index = Worker

--- Whether no further file is to be begun.
---@return boolean
function Worker:is_over()
  local options = self.options
  return self.stopping or options.once and self.done + self.failed > 0 or self.is_orphan()
end

--- Waits a little when there may be files later.
---@return boolean
local function may_get_more(self)
  if self.claims:any_left() then
    sys.sleep(self.pause_s)
    self.pause_s = math.min(self.pause_s * 2, LONG_PAUSE_S)
    return true
  elseif self.options.watch then
    forget_shared(self) -- recipes and alias tables may change meanwhile
    sys.sleep(WATCH_PAUSE_S)
    return true
  end
  return false
end

local function work_off(self)
  local job = self.claims:claim()
  while not self:is_over() do
    if job then
      self.pause_s = SHORT_PAUSE_S
      job = work_on(self, job)
    elseif may_get_more(self) then
      job = self.claims:claim()
    else
      return
    end
  end
  self.claims:give_back()
end

--- A first signal lets the file in flight end, a second one does not.
local function stop_when_told(self)
  local function stop()
    self.stopping = true
    if not self.options.parent_pid then
      io.stderr:write("ligase: stopping after the file in flight; once more stops at once\n")
    end
    sys.on_signal("INT", "default")
    sys.on_signal("TERM", "default")
  end
  sys.on_signal("INT", stop)
  sys.on_signal("TERM", stop)
end

--- Nothing that was remembered of the lost connection's work counts any more.
local function connect(self)
  forget_shared(self)
  local conn = self.context:open { again = self.options.watch and self.was_open }
  self.was_open = true
  self.claims = jobs.claims(conn, self.options.batch_id, self.options.skip)
end

--- Waits before a new connection is tried, or until the worker is told to stop; raises the
--- failure when it is no use.
local function endure(self, failure)
  self.tries = self.tries + 1
  local is_useless = not self.options.watch and (self.stopping or self.tries > RECONNECTS)
  if is_useless or not failing.is_lost(failure) then
    error(failing.as_required(failure, failure.file), 0)
  end
  if self.stopping then
    return
  elseif self.options.watch then
    failing.report(failure)
  end
  sys.sleep(math.min(RECONNECT_PAUSE_S * 2 ^ (self.tries - 1), RECONNECT_PAUSE_MOST_S))
end

local function run(self)
  connect(self)
  work_off(self)
end

--- Works on the queue until it is empty, or for ever when watching. A bad file is set
--- aside; raises what would fail with the next file too. Interrupted work leaves its file
--- in the queue.
---@param context ligase.context
---@param options ligase.working_options
---@return {done: integer, failed: integer, stopped: boolean}
function M.run(context, options)
  local self = setmetatable({ context = context, options = options, done = 0, failed = 0, tries = 0,
    pause_s = SHORT_PAUSE_S, is_orphan = parenthood.watch(options.parent_pid) }, Worker)
  stop_when_told(self)
  while true do
    local done, failure = xpcall(run, errors.explained, self)
    forget_looked(self)
    if self.claims then
      self.claims:give_back()
    end
    if not done then
      endure(self, failure)
    end
    if done or self.stopping or self.is_orphan() then
      return { done = self.done, failed = self.failed, stopped = self.stopping == true }
    end
  end
end

return M
