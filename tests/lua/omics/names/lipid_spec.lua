local csv = require "csv"
local dialect = require "ligase.io.dialect"
local host = require "host"
local lipid = require "ligase.omics.names.lipid"
local support = require "tests.support"
local sys = require "sys"

--- What is read: raw, canonical name, level, adduct.
local READ = {
  { "PC 34:1", "PC 34:1", "species" },
  { "PC(34:1)", "PC 34:1", "species" },
  { "PC (34:1)", "PC 34:1", "species" },
  { "PC  34:1", "PC 34:1", "species" },
  { " PC 34:1\t", "PC 34:1", "species" },
  { "PC 16:0_18:1", "PC 16:0_18:1", "molecular species" },
  { "PC(16:0_18:1)", "PC 16:0_18:1", "molecular species" },
  { "PC 16:0/18:1", "PC 16:0/18:1", "sn-position" },
  { "PC(16:0/18:1)", "PC 16:0/18:1", "sn-position" },
  { "TG 52:2", "TG 52:2", "species" },
  { "TG 16:0_18:1_18:1", "TG 16:0_18:1_18:1", "molecular species" },
  { "TG(16:0/18:1/18:1)", "TG 16:0/18:1/18:1", "sn-position" },
  { "DG 16:0_18:1", "DG 16:0_18:1", "molecular species" },
  { "LPC 18:1", "LPC 18:1", "species" },
  { "CE 18:2", "CE 18:2", "species" },
  { "FA 20:4", "FA 20:4", "species" },
  { "CL 72:8", "CL 72:8", "species" },
  { "CL 18:2_18:2_18:2_18:2", "CL 18:2_18:2_18:2_18:2", "molecular species" },
  { "PC O-34:1", "PC O-34:1", "species" },
  { "PC O-16:0/18:1", "PC O-16:0/18:1", "sn-position" },
  { "PE P-16:0/18:1", "PE P-16:0/18:1", "sn-position" },
  { "PE(P-16:0/18:1)", "PE P-16:0/18:1", "sn-position" },
  { "SM 34:1;O2", "SM 34:1;O2", "species" },
  { "Cer 18:1;O2/16:0", "Cer 18:1;O2/16:0", "sn-position" },
  { "HexCer 18:1;O2/24:1", "HexCer 18:1;O2/24:1", "sn-position" },
  { "PC 34:1 [M+H]+", "PC 34:1", "species", "[M+H]+" },
  { "PC(16:0/18:1)[M-H]-", "PC 16:0/18:1", "sn-position", "[M-H]-" },
  { "TG 52:2 [M+NH4]+", "TG 52:2", "species", "[M+NH4]+" },
}

--- What stays as it stands, because reading it would say more or something else.
local VERBATIM = {
  "SM 34:1", "SM(34:1)", "Cer 34:1", "Cer(d18:1/16:0)", "Cer d18:1/16:0", "CER 16:0", "HexCer 16:0", "hex_cer_24_0",
  "SM 18:1/16:0", "Cer[NS](d18:1/16:0)", "PC(d18:1/34:1)", "pc 34:1", "Pc(34:1)", "PC34:1", "PC-34:1", "PC 34",
  "PC 34:", "PC :1", "PC", "34:1", "PC 34:1:2", "PC 0:0", "PC 16:9", "PC 200:1", "PC 16:0_18:1_20:4", "PC 16:0-18:1",
  "PC 16:0_18:1/20:4", "PC (34:1", "PC 34:1)", "PC ((34:1))", "PC(16:0/18:1(9Z))", "PC 16:0/18:1(9Z)", "PC 34:1+H",
  "PC 34:1 + PE 36:2", "PC 34:1; PE 36:2", "PC 34:1|PC 16:0_18:1", "TG 16:0_18:1", "TG 16:0_36:2",
  "DG 16:0/18:1/0:0", "LPC 16:0/0:0", "LPC 18:1_0:0", "18:1-d9 SM", "18:1(d7) Lyso PE", "PC 34:1(d7)",
  "AcCa(16:0)+H", "cholesterol", "Asdf",
  "PC 34:1*", "PC 34:1 (IS)", "PC 34:1_2", "PC 34.1", "PC 34:1;", "PC 34:1;O", "FA 18:1;OH", "NAD+", "cAMP", "[M+H]+",
  "(+)-catechin", "PC 34:1,5", "PCO-34:1", "PC o-34:1", "PC\xC2\xA034:1", "PC 34:1\nPC 36:2", "GM3 18:1;O2/16:0",
  "PC O-16:0_O-18:1_18:0", "Lysophosphatidylcholine 18:1", "-", "?", "\xFF\xFE", "PC 34:1 ", "0",
  "PC 9999999999999999999999:1",
}

describe("a lipid name", function()
  for _, case in ipairs(READ) do
    it("is read: " .. case[1], function()
      local reading = lipid.read(case[1])
      assert.equal(case[2], reading.name)
      assert.equal(case[3], reading.level)
      assert.equal("lipid.shorthand", reading.rule)
      assert.same(case[4] and { adduct = case[4] } or nil, reading.aside)
    end)

    it("is canonical once read: " .. case[2], function()
      local again = lipid.read(case[2])
      assert.equal(case[2], again.name)
      assert.equal(case[3], again.level)
    end)
  end

  for _, raw in ipairs(VERBATIM) do
    it("stays as it stands: " .. raw:gsub("[^%g ]", "?"), function()
      local trimmed = raw:match("^%s*(.-)%s*$")
      local reading = lipid.read(raw)
      if raw == "PC 34:1 " then -- blanks around a name are none of it
        assert.equal("PC 34:1", reading.name)
        return
      end
      assert.same({ name = trimmed, rule = "verbatim" }, reading)
    end)
  end

  it("is none in a blank cell", function()
    assert.is_nil(lipid.read(""))
    assert.is_nil(lipid.read(" "))
    assert.is_nil(lipid.read(" \t "))
  end)

  it("never turns a sum into chains, nor the order of chains into a position", function()
    assert.not_equal(lipid.read("PC 34:1").name, lipid.read("PC 16:0_18:1").name)
    assert.not_equal(lipid.read("PC 16:0_18:1").name, lipid.read("PC 16:0/18:1").name)
    assert.not_equal(lipid.read("PC 16:0_18:1").name, lipid.read("PC 18:1_16:0").name)
    assert.not_equal(lipid.read("PC O-34:1").name, lipid.read("PC 34:1").name)
    assert.not_equal(lipid.read("PC P-34:1").name, lipid.read("PC O-34:1").name)
    assert.not_equal(lipid.read("LPC 18:1").name, lipid.read("PC 18:1").name)
  end)
end)

--- "16:0,18:1": all pairs of numbers in the order in which they stand.
local function pairs_of(text)
  local found = {}
  for carbons, double_bonds in text:gmatch("(%d+):(%d+)") do
    found[#found + 1] = carbons .. ":" .. double_bonds
  end
  return table.concat(found, ",")
end

local MARKS = { "/", "_", ";", "O%-", "P%-" }

describe("the names of real tools and databases", function()
  --- Every cell of a file, as well as it can be split; nothing depends on how well.
  local function each_cell(path, visit)
    local found = dialect.detect(path)
    local file <close> = assert(io.open(path, "rb"))
    for line in file:lines() do
      for cell in line:gmatch(("[^%%%s\r]+"):format(found.separator)) do
        visit(cell)
        if cell:sub(1, 1) == '"' then
          visit((cell:gsub('^"(.*)"$', "%1")))
        end
      end
    end
  end

  --- What is wrong with a reading, or nil.
  local function fault(cell, reading)
    local trimmed = cell:match("^%s*(.-)%s*$")
    if trimmed == "" or reading == nil then
      return not (trimmed == "" and reading == nil) and "a blank cell, or none" or nil
    elseif reading.rule == "verbatim" then
      return (reading.name ~= trimmed or reading.level or reading.aside) and "not verbatim" or nil
    end
    local name = reading.name
    if pairs_of(name) ~= pairs_of(trimmed) then
      return "other chains"
    elseif trimmed:sub(1, #name:match("^%w+")) ~= name:match("^%w+") then
      return "another class"
    elseif lipid.read(name).name ~= name then
      return "not canonical"
    end
    for _, mark in ipairs(MARKS) do
      if select(2, trimmed:gsub(mark, "")) ~= select(2, name:gsub(mark, "")) then
        return "another notation"
      end
    end
    return nil
  end

  it("are read exactly or not at all", function()
    support.need_shared "names"
    local seen, read = 0, 0
    local folder = host.home .. "/../shared/data/names"
    for _, file in ipairs(sys.list(folder)) do
      each_cell(folder .. "/" .. file, function(cell)
        local done, reading = pcall(lipid.read, cell)
        local problem = done and fault(cell, reading) or not done and reading
        if problem then
          error(("%s: %q became %q: %s"):format(file, cell, done and reading and reading.name or "", problem))
        end
        seen = seen + 1
        read = read + (reading and reading.rule ~= "verbatim" and 1 or 0)
      end)
    end
    assert.is_true(seen > 50000 and read > 1000, ("%d seen, %d read"):format(seen, read))
  end)

  it("are read in the same way by a second, simpler reading", function()
    local path = support.need_shared "lipidomics/lipidr__brca_matrix.csv"
    local reader <close> = csv.frames(path)
    local verbatim, read = 0, 0
    for frame in reader do
      for _, raw in ipairs(frame:text("lipids"):distinct()) do
        local reading = lipid.read(raw)
        if reading.rule == "verbatim" then
          verbatim = verbatim + 1
          assert.equal(raw, reading.name)
        else
          read = read + 1
          local class, chains = raw:match("^(%a%w*)%s*%(?([^()]*)%)?$")
          assert.equal(class .. " " .. chains:gsub("^%s+", ""), reading.name)
        end
      end
    end
    assert.is_true(read + verbatim > 300)
  end)
end)
