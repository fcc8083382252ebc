local errors = require "ligase.base.errors"
local query = require "ligase.io.notion.query"

local CAP = 10000

local function page(number, minute)
  return { object = "page", id = ("p%06d"):format(number), created_time = ("2026-01-01T%02d:%02d:00.000Z"):format(
    minute // 60, minute % 60) }
end

--- Notion's side of a query: pages in the order of their creation, at most 100 at a time and
--- 10,000 in all.
local function source(pages, options)
  options = options or {}
  local asked = { count = 0, filters = {} }
  return function(body)
    asked.count = asked.count + 1
    local since = body.filter and (body.filter.created_time or body.filter["and"][2].created_time).on_or_after or ""
    if not body.start_cursor then
      asked.filters[#asked.filters + 1] = since
    end
    local fitting = {}
    for _, found in ipairs(pages) do
      if found.created_time >= since then
        fitting[#fitting + 1] = found
      end
    end
    local is_cut = #fitting > CAP
    local from = tonumber(body.start_cursor or 1)
    local stop = math.min(from + body.page_size - 1, #fitting, CAP)
    local has_more = stop < math.min(#fitting, CAP)
    return { object = "list", results = table.move(fitting, from, stop, 1, {}), has_more = has_more,
      next_cursor = has_more and tostring(stop + 1) or nil,
      request_status = not options.silent and (is_cut and { type = "incomplete",
        incomplete_reason = "query_result_limit_reached" } or { type = "complete" }) or nil }
  end, asked
end

local function all(pages, options, query_options)
  local ask, asked = source(pages, options)
  local seen, count = {}, 0
  for found in query.pages(ask, query_options or {}) do
    assert.is_nil(seen[found.id], "twice: " .. found.id)
    seen[found.id], count = true, count + 1
  end
  return count, asked
end

local function spread(count, per_minute)
  local pages = {}
  for i = 1, count do
    pages[i] = page(i, (i - 1) // per_minute)
  end
  return pages
end

describe("a query", function()
  it("gives every page once: none, one, 100, 101", function()
    for _, count in ipairs { 0, 1, 99, 100, 101, 250 } do
      assert.equal(count, (all(spread(count, 10))))
    end
  end)

  it("goes on past 10,000, by the minute of creation", function()
    local count, asked = all(spread(25000, 700))
    assert.equal(25000, count)
    assert.equal(3, #asked.filters)
    assert.equal(10001, (all(spread(10001, 5000))))
    assert.equal(10000, (all(spread(10000, 10000))))
  end)

  it("goes on past 10,000 where Notion does not say that it stops there", function()
    assert.equal(21000, (all(spread(21000, 700), { silent = true })))
  end)

  it("says so when one minute holds more than a query gives", function()
    local done, failure = pcall(all, spread(10001, 20000))
    assert.is_false(done)
    assert.is_true(errors.is(failure, "notion"), tostring(failure))
    assert.equal("too_many_results", failure.code)
    assert.matches("made in the minute 2026%-01%-01T00:00", failure.message)
  end)

  it("says so when an order of one's own ends at 10,000", function()
    local done, failure = pcall(all, spread(10001, 100), nil, { sorts = { { property = "Name",
      direction = "ascending" } } })
    assert.is_false(done)
    assert.equal("too_many_results", failure.code)
    assert.equal(9000, (all(spread(9000, 100), nil, { sorts = {} })))
  end)

  it("does not take a list without an end, or one that goes in circles", function()
    for _, cursor in ipairs { false, "same" } do
      local done, failure = pcall(function()
        for _ in query.pages(function()
          return { results = { page(1, 1) }, has_more = true, next_cursor = cursor or nil }
        end, {}) do end -- luacheck: ignore 542
      end)
      assert.is_false(done)
      assert.equal("paging", failure.code)
    end
  end)
end)

describe("a filter with a condition more", function()
  local A, B, C, T = { property = "A" }, { property = "B" }, { property = "C" }, { timestamp = "created_time" }

  it("keeps to two levels of and/or", function()
    assert.same(T, query.both(nil, T))
    assert.same({ ["and"] = { A, T } }, query.both(A, T))
    assert.same({ ["and"] = { A, B, T } }, query.both({ ["and"] = { A, B } }, T))
    assert.same({ ["and"] = { A, { ["or"] = { B, C } }, T } },
      query.both({ ["and"] = { A, { ["or"] = { B, C } } } }, T))
    assert.same({ ["and"] = { { ["or"] = { A, B } }, T } }, query.both({ ["or"] = { A, B } }, T))
    assert.same({ ["or"] = { { ["and"] = { A, T } }, { ["and"] = { B, C, T } } } },
      query.both({ ["or"] = { A, { ["and"] = { B, C } } } }, T))
  end)
end)
