--- What goes wrong between ligase and Notion, as errors of kind "notion": which call, for
--- whom, what Notion said, whether it may have happened all the same, and what to do.
---
--- `outcome` is "refused" when Notion certainly did nothing, "not_sent" when it was never
--- asked, and "unknown" when the change may have been made: a service without idempotency
--- keys can save a page and still answer 503.
local errors = require "ligase.base.errors"
local json = require "ligase.base.json"
local text = require "ligase.base.text"

local M = {}

---@class ligase.notion.Error: ligase.Error
---@field status integer|nil of the answer
---@field request_id string|nil Notion's name for the request
---@field retry_after_s number|nil
---@field outcome string "refused", "not_sent" or "unknown"
---@field committed_resource_id string|nil the page that was saved although the answer is a failure
---@field call string "POST /v1/pages"
---@field about string|nil what the caller said it is about
---@field blocked boolean|nil Notion wants no further attempt
---@field data_sources string[]|nil the ids that a database of several data sources has

local BLOCKED = "public_api_request_blocked"

local TRY_LATER = "Try again later; https://status.notion.so says how Notion is"

--- Remedies by what Notion's message holds, for 400.
local MESSAGES = {
  { "is not a property that exists", "ligase notion check says which properties are missing, and --create makes them" },
  { "is expected to be", "ligase notion check says which properties have the wrong type" },
  { "archived", "Restore the page from Notion's trash, or unlink it so that a new one is made" },
  { "in the trash", "Restore the page from Notion's trash, or unlink it so that a new one is made" },
  { "should be ≤ `%d+`", "Notion's limits are in docs/notion.md; please report this as a mistake of ligase" },
}

local STATUS = {
  [401] = "Set NOTION_API_KEY to the token of your integration (Notion: Settings, Connections)",
  [403] = "Give the integration the capabilities to read, update and insert content",
  [404] = "Share the database with the integration (its menu, Connections), or correct the id",
  [409] = "Somebody saved it at the same moment: try again",
  [500] = TRY_LATER, [502] = TRY_LATER, [503] = TRY_LATER, [504] = TRY_LATER,
}

--- Remedies by the code of what went wrong on the way.
local NETWORK = {
  refused_scheme = "Set NOTION_API_URL to an https:// address",
  limited = "Others use the budget of requests, or Notion asked to wait: try again later",
  size = "Narrow the query",
}

local function remedy(failure)
  if failure.data_sources then
    return "The database has several data sources; set the id of the one that is meant instead: "
      .. text.enumerate(failure.data_sources)
  elseif failure.blocked then
    return "Notion refuses further requests of this integration; look at it in Notion's settings before trying again"
  elseif failure.retry_after_s then
    return ("Notion asks to wait %s"):format(text.duration(failure.retry_after_s))
  elseif failure.status == 429 or failure.status == 529 then
    return "Wait a minute, and lower NOTION_REQUESTS_PER_MINUTE if it happens again"
  elseif failure.status == 400 then
    for _, known in ipairs(MESSAGES) do
      if failure.said:find(known[1]) then
        return known[2]
      end
    end
  end
  return STATUS[failure.status]
end

--- What could not be done, for whom.
local function what_failed(call)
  return ("cannot %s%s in Notion"):format(call.what, call.about and " of " .. call.about or "")
end

local function reference(call, ...)
  local parts = { ("%s %s"):format(call.method, call.path) }
  for _, part in ipairs(table.pack(...)) do
    parts[#parts + 1] = part ~= "" and part or nil
  end
  return table.concat(parts, ", ")
end

---@param call table {method, path, what, about}
---@param fields table
local function raise(call, fields)
  fields.kind, fields.call, fields.about = "notion", call.method .. " " .. call.path, call.about
  fields.message = ("%s: %s"):format(what_failed(call), fields.said)
  fields.said = nil
  errors.raise(fields)
end

local function string_or_nil(value)
  return type(value) == "string" and value or nil
end

--- Which statuses leave it open whether a change was made.
local function outcome_of(status)
  return status >= 500 and status ~= 529 and "unknown" or "refused"
end

local function body_of(response)
  local done, body = errors.try(json.decode, response.body)
  return done and type(body) == "table" and body or {}
end

local function additional_of(body)
  return type(body.additional_data) == "table" and body.additional_data or {}
end

--- Whether Notion wants no further request of this integration, however long one waits.
---@param response {status: integer, body: string}
---@return boolean
function M.is_blocked(response)
  if response.status ~= 429 then
    return false
  end
  local body = body_of(response)
  return body.rate_limit_reason == BLOCKED or additional_of(body).rate_limit_reason == BLOCKED
end

--- Raises what an answer with a status beyond 299 says.
---@param call table {method, path, what, about}
---@param response {status: integer, headers: table, body: string}
---@param retry_after_s number|nil
function M.raise_status(call, response, retry_after_s)
  local body = body_of(response)
  local additional = additional_of(body)
  local sources = additional.child_data_source_ids
  local code = string_or_nil(body.code)
  local request_id = string_or_nil(body.request_id)
  local failure = {
    status = response.status, code = code or ("http_%d"):format(response.status), request_id = request_id,
    outcome = outcome_of(response.status), retry_after_s = retry_after_s,
    committed_resource_id = string_or_nil(additional.committed_resource_id),
    blocked = M.is_blocked(response) or nil,
    data_sources = type(sources) == "table" and #sources > 0 and sources or nil,
    said = (string_or_nil(body.message) or ""):match("^(.-)%.?$"):match("^.*%S.*$")
      or ("it answered %d without a reason"):format(response.status),
  }
  failure.hint = remedy(failure)
  failure.detail = reference(call, ("%d%s"):format(response.status, code and " " .. code or ""),
    request_id and "request " .. request_id or "")
  raise(call, failure)
end

--- Raises that an answer with status 200 is not what Notion answers.
---@param call table {method, path, what, about}
---@param response {status: integer, headers: table, body: string}
---@param problem ligase.Error|nil of the JSON
function M.raise_not_json(call, response, problem)
  local media = response.headers["content-type"] or ""
  local is_page = media:find("html", 1, true) or response.body:find("^%s*<")
  raise(call, {
    status = response.status, code = is_page and "not_json" or "bad_json", outcome = "unknown",
    said = is_page and "a web page came back instead of an answer"
      or ("the answer is cut short or broken: %s"):format(problem and problem.message or "it is no object"),
    hint = is_page and "A proxy or a login page stands in between: look at the network, and at NOTION_API_URL"
      or TRY_LATER,
    detail = reference(call, tostring(response.status), text.shown(response.body:sub(1, 60), 60)),
  })
end

--- Raises that no answer came.
---@param call table {method, path, what, about}
---@param cause ligase.Error of kind "network"
function M.raise_network(call, cause)
  local unknown = cause.outcome ~= "not_sent"
  local said = cause.message:gsub("^%u+ %S+: ", "") -- the request is named anyway
  raise(call, {
    code = cause.code, outcome = unknown and "unknown" or "not_sent", cause = cause,
    said = said,
    detail = reference(call), hint = NETWORK[cause.code] or cause.hint or (unknown and call.method ~= "GET"
      and "Whether Notion did it is not known: look before it is repeated"
      or "Look at the network, and at NOTION_API_URL"),
  })
end

return M
