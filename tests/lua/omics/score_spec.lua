--- Scoring methods against values worked by hand.
local host = require "host"
local score = require "ligase.omics.score"
local sets = require "sets"
local support = require "tests.support"

--- A method's lists for one dataset and some sets, as ligase.scoring calls it.
local function run(name, values, list, more)
  local keys = {}
  for i in ipairs(values) do
    keys[i] = i
  end
  local profile = sets.profile(keys, values)
  local matching = profile:match(sets.collection(list))
  local work = { count = #list, matching = matching, found = matching:agreement(), wanted = {}, has_effects = true }
  for i = 1, #list do
    work.wanted[i] = work.found.matched[i] > 0
  end
  local given = {}
  for field, value in pairs(more or {}) do
    if field == "parameters" then
      given = value
    else
      work[field] = value
    end
  end
  local method = score.get(name)
  return method.score(work, score.parameters(method, given))
end

--- Samples as ligase.scoring makes them, of rows of values.
local function samples_of(rows, list)
  local samples = {}
  for place = 1, #rows[1] do
    local keys, values = {}, {}
    for i, row in ipairs(rows) do
      keys[i], values[i] = i, row[place]
    end
    local profile = sets.profile(keys, values)
    samples[place] = { name = "s" .. place, matching = profile:match(sets.collection(list)), size = #profile }
  end
  return samples
end

describe("concordance", function()
  it("is what goes along less what goes against, over the weight found with a direction", function()
    local found = run("concordance", { 2, -1, 0.5, -3, 0 }, {
      { keys = { 1, 2, 3, 9 }, weights = { 2, 1, 1, 5 }, signs = { 1, 1, 1, 1 } }, -- (2 - 1 + 1) / 4
      { keys = { 1, 4 }, signs = { -1, 1 } }, { keys = { 1, 4 }, signs = { 1, -1 } },
      { keys = { 5, 1 }, signs = { 1, 1 } }, -- an effect of 0 goes neither way
      { keys = { 1 } }, { keys = { 9 }, signs = { 1 } } }, { parameters = { permutations = 0 } })
    assert.same({ 0.5, -1.0, 1.0, 0.5, host.null, host.null }, found.score)
    assert.same({ true, false, true, true, false, false }, found.is_match)
    assert.is_nil(found.p_value)
  end)

  it("says nothing where nothing has a direction", function()
    local found = run("concordance", { 0, 0 }, { { keys = { 1 }, signs = { 1 } } }, { has_effects = false })
    assert.same({ host.null }, found.score)
  end)
end)

describe("legacy", function()
  it("is the formula of the system before, 0.5 for nothing found", function()
    local found = run("legacy", { 2, -1, 0 }, {
      { keys = { 1, 2, 9 }, weights = { 2, 1, 1 }, signs = { 1, 1, 1 } }, -- (2 - 1 + 0) / 4 = 0.25
      { keys = { 1, 3 }, signs = { 0, 1 } }, -- 0.3 each
      { keys = { 9 }, signs = { 1 } } })
    assert.near(0.625, found.score[1], 1e-15)
    assert.near(0.65, found.score[2], 1e-15)
    assert.equal(0.5, found.score[3])
    assert.is_nil(found.is_match)
  end)
end)

describe("ora", function()
  it("has the selected among the found, against all that was measured", function()
    local values, list = {}, { { keys = { 1, 2, 3, 4, 99 } }, { keys = { 99 } } }
    for i = 1, 20 do
      values[i] = i
    end
    local selected = sets.profile { 1, 2, 3, 10, 11 }
    local found = run("ora", values, list, { selection = { matching = selected:match(sets.collection(list)),
      selected = 5, measured = 20 } })
    -- 3 of the 4 that were measured are among the 5 of 20: C(4,3) C(16,2) + C(4,4) C(16,1) over C(20,5)
    assert.near((4 * 120 + 16) / 15504, found.p_value[1], 1e-15)
    assert.equal(3, found.score[1]) -- 3 where 1 would be on average
    assert.equal(host.null, found.score[2])
    assert.same({ true, false }, found.is_match)
    assert.same({ hits = 3, measured = 4, selected = 5, background = 20 }, found.details[1])
  end)
end)

describe("singscore", function()
  --- Ten features with the values 1 to 10 in one sample: ranks are values.
  local rows = {}
  for i = 1, 10 do
    rows[i] = { i }
  end

  it("is the scaled mean rank, centred, of both directions", function()
    local list = { { keys = { 9, 10 } }, { keys = { 1, 2 } }, { keys = { 9, 10, 1, 2 }, signs = { 1, 1, -1, -1 } },
      { keys = { 4, 6, 5 } }, { keys = { 10, 1 }, signs = { -1, 1 } } }
    local found = run("singscore", { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, list, { samples = samples_of(rows, list) })
    -- Two of ten: mean ranks from 1.5 to 9.5. Three of ten: from 2 to 9, and 5 is (5 - 2) / 7 - 0.5.
    assert.equal(0.5, found.score[1])
    assert.equal(-0.5, found.score[2])
    assert.equal(1.0, found.score[3])
    assert.near(3 / 7 - 0.5, found.score[4], 1e-15)
    assert.equal(-1.0, found.score[5])
  end)

  it("is the difference of the means of two groups", function()
    local two, list = {}, { { keys = { 1, 2 } } }
    for i = 1, 4 do
      two[i] = { i, 5 - i, 5 - i } -- ranks 1 2 3 4, then 4 3 2 1 twice
    end
    local found = run("singscore", { 1, 2, 3, 4 }, list, { samples = samples_of(two, list),
      groups = { case = { 2, 3 }, control = { 1 } } })
    assert.equal(1.0, found.score[1])
    assert.same({ case = 0.5, control = -0.5, samples = { s1 = -0.5, s2 = 0.5, s3 = 0.5 } }, found.details[1])
  end)
end)

describe("ssgsea", function()
  it("takes signatures with both directions apart", function()
    local list = { { keys = { 1, 3 } }, { keys = { 1, 3 }, signs = { -1, -1 } },
      { keys = { 1, 4 }, signs = { 1, -1 } } }
    local found = run("ssgsea", { 9, 7, 5, 3 }, list, { samples = samples_of({ { 9 }, { 7 }, { 5 }, { 3 } }, list),
      parameters = { exponent = 0 } })
    -- {1} alone: 1 1 1 1 less 0 1/3 2/3 1 is 2; {4} alone: 0 0 0 1 less 1/3 2/3 1 1 is -2.
    assert.same({ 1.0, -1.0, 4.0 }, found.score)
  end)

  it("is what GSVA computes, without its normalisation", function()
    local r = require("sys").run { "sh", "-c", "Rscript -e 'library(GSVA)' >/dev/null 2>&1" }
    if r.code ~= 0 then
      pending "needs R with GSVA (apt-get install r-base-core r-bioc-gsva)"
      return
    end
    local lines, rows, x = {}, {}, 12345
    for i = 1, 60 do
      rows[i] = {}
      for place = 1, 4 do
        x = (x * 1103515245 + 12345) % 2147483648
        rows[i][place] = math.floor(x / 2147483648 * 40) / 4 -- with equal values among them
      end
      lines[i] = table.concat(rows[i], ",")
    end
    local path = support.tmpfile(table.concat(lines, "\n") .. "\n", "matrix.csv")
    local result = require("sys").run { "Rscript", "-e", ([[
suppressMessages(library(GSVA))
m <- as.matrix(read.csv('%s', header = FALSE)); rownames(m) <- paste0('g', 1:60); colnames(m) <- paste0('s', 1:4)
sets <- list(a = paste0('g', c(1, 5, 9, 33)), b = paste0('g', 11:40), c = paste0('g', c(2, 60)))
es <- suppressWarnings(gsva(m, sets, method = 'ssgsea', ssgsea.norm = FALSE, min.sz = 1, verbose = FALSE,
  parallel.sz = 1))
for (i in 1:3) cat(sprintf('%%.17g', es[i, ]), '\n')]]):format(path) }
    assert.equal(0, result.code, result.stderr)
    local list = { { keys = { 1, 5, 9, 33 } }, { keys = {} }, { keys = { 2, 60 } } }
    for i = 11, 40 do
      table.insert(list[2].keys, i)
    end
    local values = {}
    for i in ipairs(rows) do
      values[i] = i
    end
    local found = run("ssgsea", values, list, { samples = samples_of(rows, list) })
    local compared, set = 0, 0
    for line in result.stdout:gmatch "[^\n]+" do
      if line:find "^%-?%d" then
        set = set + 1
        local place = 0
        for number in line:gmatch "%S+" do
          place = place + 1
          assert.near(tonumber(number), found.details[set].samples["s" .. place], 1e-10)
          compared = compared + 1
        end
      end
    end
    assert.equal(12, compared)
  end)
end)

describe("gsea", function()
  it("gives score, normalised score and p-value", function()
    local values, list = {}, { { keys = { 1, 2, 3 } }, { keys = { 38, 39, 40 } }, { keys = { 99 } } }
    for i = 1, 40 do
      values[i] = 20.5 - i
    end
    local found = run("gsea", values, list, { parameters = { permutations = 500 } })
    assert.equal(1, found.score[1])
    assert.equal(-1, found.score[2])
    assert.is_true(found.p_value[1] < 0.02 and found.p_value[2] < 0.02)
    assert.is_true(found.details[1].normalized > 1.3)
    assert.same({ true, false, false }, found.is_match)
    assert.equal(host.null, found.score[3])
  end)
end)

describe("methods", function()
  it("are found by name, and unknown ones refused with the nearest", function()
    assert.same({ "concordance", "gsea", "legacy", "ora", "singscore", "ssgsea" }, score.names())
    local _, failure = pcall(score.get, "concordence")
    assert.matches("there is no scoring method 'concordence'. Did you mean 'concordance'", tostring(failure))
  end)

  it("register once, whole, and under their own names", function()
    local whole = { name = "mine", version = "1", title = "mine", source = "here", needs = "effects",
      score = function() end }
    score.register(whole)
    assert.has_error(function() score.register(whole) end)
    whole.needs = "luck"
    local _, failure = pcall(score.register, whole)
    assert.matches("option 'needs' must be", tostring(failure))
  end)
end)
