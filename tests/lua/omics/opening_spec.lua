local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"
local inspection = require "ligase.omics.inspection"
local opening = require "ligase.omics.opening"
local support = require "tests.support"
local sys = require "sys"
local verdict = require "tests.verdicts.verdict"

local HTSEQ = "ENSG1\t1\nENSG2\t2\n__no_feature\t5\n"

local function open(content, name, given, format)
  local path = support.tmpfile(content, name)
  return opening.open({ path = path, shown = path }, given or {}, format)
end

describe("opening a file", function()
  it("takes the format's answers where nobody gave any", function()
    local opened <close> = open(HTSEQ, "S1.tsv")
    assert.is_false(opened.dialect.header)
    assert.same({ "feature", "S1" }, opened.dialect.names)
    assert.same({ "feature", "S1" }, opened.look.header)
    local reader <close> = opened:reader {}
    assert.same({ "feature", "S1" }, reader:names())
    assert.equal(3, #reader:next())
  end)

  it("takes a person's answers before the format's", function()
    local opened <close> = open(HTSEQ, "S1.tsv", { names = { "gene", "count" }, missing = { "" } })
    assert.same({ "gene", "count" }, opened.look.header)
    assert.same({ "" }, opened.dialect.missing)
  end)

  it("forgets names for lines that a person skips", function()
    local opened <close> = open(HTSEQ, "S1.tsv", { skip_lines = 1 })
    assert.is_nil(opened.dialect.names)
    assert.same({ "ENSG2", "2" }, opened.look.header)
  end)

  it("says of a converted copy what is true of the file, and removes the copy", function()
    local path = support.tmpfile("^SAMPLE = GSM1\n!sample_table_begin\nID_REF\tVALUE\na\t1\nb\t2\n!sample_table_end\n",
      "g.txt")
    local opened = opening.open({ path = path, shown = path }, {})
    assert.equal("soft", opened.recognition.format.name)
    local reader <close> = opened:reader {}
    while reader() do end
    local info = opened:info(reader:info())
    assert.equal(sys.sha256_file(path), info.sha256)
    assert.equal(sys.stat(path).size_bytes, info.bytes)
    local copy = opened.path
    assert.is_not_nil(sys.stat(copy))
    opened:close()
    assert.is_nil(sys.stat(copy))
    opened:close()
  end)

  it("keeps what was found, and the header as it was written where it has other names", function()
    local opened <close> = open("a,b\nx,1\n", "x.csv", { names = { "gene", "count" } })
    local found = opened:findings()
    assert.equal("wide", found.format)
    assert.equal(0.5, found.format_sureness)
    assert.is_string(found.format_why)
    assert.same({ "a", "b" }, found.written_header)
  end)
end)

describe("what is no table of any kind", function()
  --- Small damage, of which much is seen: cut, changed, left out, doubled.
  local DAMAGE = {
    function(s) return s:sub(1, math.random(#s)) end,
    function(s) return (s:gsub("\t", ",", math.random(20))) end,
    function(s) return (s:gsub(",", '"', math.random(5))) end,
    function(s) return (s:gsub("\n", "\r", math.random(20))) end,
    function(s) return (s:gsub("[^\n]*\n", "", math.random(3))) end,
    function(s)
      local at = math.random(#s)
      return s:sub(1, at - 1) .. string.char(math.random(0, 255)) .. s:sub(at + 1)
    end,
  }

  local function is_refused_well(failure)
    return failure.kind == "input" and failure.hint ~= nil and failure.file ~= nil and failure.code ~= "format"
  end

  it("is refused with its file and what to do, whatever is wrong with real files #shared", function()
    support.need_shared "INDEX.tsv"
    math.randomseed(20)
    local path, wrong, read = support.tmpfile("", "damaged.txt"), {}, 0
    for _, relative in ipairs(verdict.files()) do
      local file <close> = io.open(verdict.FOLDER .. "/" .. relative, "rb")
      local content = file:read(8000) or ""
      for _ = 1, #content > 0 and 2 or 0 do
        local damaged = DAMAGE[math.random(#DAMAGE)](content)
        sys.write_file(path, damaged)
        local done, result = xpcall(inspection.inspect, errors.explained, path, {})
        read = read + (done and 1 or 0)
        if not done and not is_refused_well(result) then
          wrong[#wrong + 1] = relative .. ": " .. errors.describe(result)
        end
      end
    end
    assert.same({}, wrong)
    assert.is_true(read > 10, read .. " of the damaged files could be read")
  end)

  it("is refused when a person says that it is another tool's table", function()
    local path = support.tmpfile("lipid,S1\nPC 34:1,1\n", "x.csv")
    for _, format in ipairs(formats.all()) do
      local done, result = xpcall(inspection.inspect, errors.explained, path, { format = format.name })
      assert.is_true(done or result.kind == "input" and result.hint ~= nil, format.name .. ": " .. tostring(result))
    end
  end)

  it("is refused when it has not the columns of the format that a person said, which are named", function()
    local path = support.tmpfile("gene,S1,S2\nTP53,1,2\n", "x.csv")
    for format, column in pairs { deseq2 = "log2FoldChange", maxquant = "Majority protein IDs", kallisto = "eff_length",
      skyline = "Replicate Name" } do
      local done, failure = pcall(inspection.inspect, path, { format = format })
      assert.is_false(done, format)
      assert.equal("format", failure.code)
      assert.matches(("it has no column .*\"%s\""):format(column), failure.message)
      assert.matches("Leave --format out", failure.hint, 1, true)
    end
    path = support.tmpfile("gene,baseMean,log2FoldChange,pvalue\nTP53,1,2,0.1\n", "x.csv")
    local done, failure = pcall(inspection.inspect, path, { format = "deseq2" })
    assert.is_false(done)
    assert.matches('the file is not DESeq2 results%(%): it has no column "padj"$', failure.message)
  end)

  it("is read as the format that a person said where its columns are there", function()
    local path = support.tmpfile("gene,baseMean,log2FoldChange,pvalue,padj\nTP53,1,2,0.1,0.2\n", "x.csv")
    assert.same({}, inspection.inspect(path, { format = "deseq2" }).findings.doubts)
    path = support.tmpfile("gene,S1\nTP53,1\n", "x.csv")
    assert.is_true((pcall(inspection.inspect, path, { format = "wide" })))
  end)
end)
