--- What the stand-in refuses, in Notion's words: every refusal of a request is raised as
--- one table here and becomes Notion's error object at one place, the server.
local json = require "ligase.base.json"

local M = {}

--- Marks refusals among what may be raised.
M.metatable = { __name = "standin.refusal", __tostring = function(refusal)
  return ("%d %s: %s"):format(refusal.status, refusal.code, refusal.message)
end }

---@class standin.Refusal
---@field status integer
---@field code string
---@field message string
---@field additional_data? table
---@field retry_after_s? integer

--- Refuses the request at hand.
---@param status integer
---@param code string one of Notion's codes
---@param message string
---@param more? table additional_data, retry_after_s
function M.refuse(status, code, message, more)
  error(setmetatable({ status = status, code = code, message = message,
    additional_data = more and more.additional_data, retry_after_s = more and more.retry_after_s }, M.metatable), 0)
end

--- Refuses with 400 validation_error.
---@param message string
function M.invalid(message)
  M.refuse(400, "validation_error", message)
end

local SHOWN_BYTES = 300

--- A value as Notion shows it in its messages.
---@param value any nil is "undefined"
---@return string
function M.shown(value)
  if value == nil then
    return "`undefined`"
  elseif type(value) == "string" then
    return ("`%s`"):format(json.encode(value))
  elseif type(value) == "table" then
    local text = json.encode(value)
    return #text > SHOWN_BYTES and "`" .. text:sub(1, SHOWN_BYTES) .. "...`" or "`" .. text .. "`"
  end
  return ("`%s`"):format(value == json.null and "null" or tostring(value))
end

--- "body.page_size should be ≤ `100`, instead was `200`."
---@param path string the place in the request
---@param wanted string "defined", "a number"
---@param value any
---@return string
function M.clause(path, wanted, value)
  return ("%s should be %s, instead was %s."):format(path, wanted, M.shown(value))
end

--- Refuses one value of the body, or of the path or query when `path` begins so.
---@param path string
---@param wanted string
---@param value any
function M.invalid_at(path, wanted, value)
  M.invalid(("%s failed validation: %s"):format(path:match("^%a+"), M.clause(path, wanted, value)))
end

--- Refuses what is none of several forms.
---@param clauses string[]
function M.invalid_forms(clauses)
  M.invalid("body failed validation. Fix one:\n" .. table.concat(clauses, "\n"))
end

--- Refuses more than so many.
---@param path string of the thing counted
---@param count integer
---@param most integer
function M.check_length(path, count, most)
  if count > most then
    M.invalid_at(path .. ".length", ("≤ `%d`"):format(most), count)
  end
end

--- Refuses what is not there or not shared: Notion does not tell the two apart.
---@param kind string "page", "database", "data_source", "block"
---@param id string
function M.not_found(kind, id)
  M.refuse(404, "object_not_found", ("Could not find %s with ID: %s. Make sure the relevant pages and "
    .. "databases are shared with your integration."):format(kind, id))
end

--- Refuses a change of what lies in the trash.
function M.archived()
  M.invalid("Can't edit block that is archived. You must unarchive the block before editing.")
end

return M
