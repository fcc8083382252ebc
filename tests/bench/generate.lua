--- Data for the benchmarks: lipidomics-like tables with names as they are written,
--- the same for the same seed.
---
--- Formatting a value costs more than writing it, so the cells of a row are drawn
--- from a stock of rows made once; only names are new in every row.
local sys = require "sys"

local M = {}

local CHAINS = {}
for carbons = 12, 24 do
  for double_bonds = 0, math.min(6, (carbons - 10) // 2) do
    CHAINS[#CHAINS + 1] = ("%d:%d"):format(carbons, double_bonds)
  end
end

--- Class and how many chains its names spell out.
local CLASSES = { { "PC", 2 }, { "PE", 2 }, { "PI", 2 }, { "PS", 2 }, { "PG", 2 }, { "DG", 2 },
  { "LPC", 1 }, { "LPE", 1 }, { "CE", 1 }, { "TG", 3 } }

--- Names of molecular species ("TG 16:0_18:1_18:2"), chains in order, all different.
local function species_names(count)
  local names = {}
  local function extend(class, left, from, text)
    for i = from, #CHAINS do
      if #names == count then
        return
      end
      local name = text .. CHAINS[i]
      if left == 1 then
        names[#names + 1] = name
      else
        extend(class, left - 1, i, name .. "_")
      end
    end
  end
  for _, class in ipairs(CLASSES) do
    extend(class[1], class[2], 1, class[1] .. " ")
  end
  return names
end

--- The i-th of some millions of cardiolipins with positions, to stand for names
--- that no database has seen yet.
local function rare_name(i)
  local n = #CHAINS
  return ("CL %s/%s/%s/%s"):format(CHAINS[i % n + 1], CHAINS[i // n % n + 1],
    CHAINS[i // (n * n) % n + 1], CHAINS[i // (n * n * n) % n + 1])
end

local function shuffle(list, random)
  for i = #list, 2, -1 do
    local j = random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

--- Rows of cells without their name, each beginning with a comma.
local function stock_of_rows(rows, samples, random)
  local stock, cells = {}, {}
  for i = 1, rows do
    local level = math.exp(10 * random() - 2)
    for s = 1, samples do
      cells[s] = random(100) == 1 and "" or ("%.6g"):format(level * math.exp(random() - 0.5))
    end
    stock[i] = "," .. table.concat(cells, ",", 1, samples) .. "\n"
  end
  return stock
end

local function header(samples)
  local names = { "lipid" }
  for s = 1, samples do
    names[s + 1] = ("sample_%03d"):format(s)
  end
  return table.concat(names, ",") .. "\n"
end

local function write_table(path, samples, names, stock, random)
  local file = assert(io.open(path, "wb"))
  file:setvbuf("full", 1 << 20)
  file:write(header(samples))
  for i = 1, #names do
    file:write(names[i], stock[random(#stock)])
  end
  assert(file:close())
end

--- Lua's own generator is global; one per call keeps files apart from each other.
local function generator(seed)
  math.randomseed(seed)
  return math.random
end

--- A wide matrix: one lipid per row, no lipid twice.
---@param path string
---@param options table {rows=, samples=, seed=}
function M.wide(path, options)
  local random = generator(options.seed)
  local names = species_names(options.rows)
  for i = #names + 1, options.rows do
    names[i] = rare_name(i)
  end
  local stock = stock_of_rows(math.max(20, 200000 // options.samples), options.samples, random)
  write_table(path, options.samples, shuffle(names, random), stock, random)
end

--- A folder of small matrices, one dataset each.
---@param folder string made here
---@param options table {files=, rows=, samples=, seed=, prefix=, new=}: prefix of the
--- file names; new = number of the first name that no other file has, nil for names
--- from the pool that wide() uses
---@return string[] paths
function M.small_files(folder, options)
  local random = generator(options.seed)
  local pool = species_names(20000)
  local stock = stock_of_rows(2000, options.samples, random)
  sys.mkdir(folder)
  local paths = {}
  for f = 1, options.files do
    local names = {}
    local start = random(#pool)
    for i = 1, options.rows do
      if options.new then
        names[i] = rare_name(options.new + (f - 1) * options.rows + i)
      else
        names[i] = pool[(start + i * 7) % #pool + 1]
      end
    end
    paths[f] = ("%s/%s_%04d.csv"):format(folder, options.prefix, f)
    write_table(paths[f], options.samples, names, stock, random)
  end
  return paths
end

--- A folder of tables of changes, one dataset each: log2 fold change, p-value and adjusted
--- p-value of names from the pool that wide() uses.
---@param folder string made when it is not there
---@param options table {files=, rows=, seed=, prefix=, moving=}: moving = share of the rows with a small p-value
function M.changes(folder, options)
  local random = generator(options.seed)
  local pool = species_names(20000)
  if not sys.stat(folder) then
    sys.mkdir(folder)
  end
  for f = 1, options.files do
    local file = assert(io.open(("%s/%s_%04d.csv"):format(folder, options.prefix, f), "wb"))
    file:write("lipid,log2FC,pvalue,padj\n")
    local start = random(#pool)
    for i = 1, options.rows do
      local p = random() < (options.moving or 0.05) and random() * 0.05 or random()
      file:write(("%s,%.4g,%.4g,%.4g\n"):format(pool[(start + i * 7) % #pool + 1], 4 * random() - 2, p / 2, p))
    end
    assert(file:close())
  end
end

return M
