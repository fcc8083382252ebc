local errors = require "ligase.base.errors"
local inputs = require "ligase.io.inputs"
local record_table = require "ligase.io.record_table"
local support = require "tests.support"

local COLUMNS = { name = { "compound name", "title" }, code = { "id" }, attributes = {} }

local function read(text, options)
  options = options or {}
  local source <close> = inputs.open(support.tmpfile(text, "t.csv"))
  return record_table.read(source, { columns = COLUMNS, members = { attributes = true }, required = options.required,
    set = options.set, dialect = options.dialect })
end

local function refused(pattern, text, options)
  local done, failure = pcall(read, text, options)
  assert.is_false(done)
  assert.is_true(errors.is(failure, "input"), tostring(failure))
  assert.matches(pattern, tostring(failure))
  return failure
end

describe("a table of records", function()
  it("finds its columns by synonyms, without case, blanks and marks", function()
    local tbl = read "ID,Compound_Name,Vendor,Attributes.Salt\nC1,aspirin,Acme,none\n,,,\nC2, caffeine ,x,NA\n"
    assert.same({ { code = "C1", name = "aspirin", ["attributes.Salt"] = "none" }, { code = "C2", name = "caffeine" } },
      { tbl.records[1].cells, tbl.records[2].cells })
    assert.same({ 2, 4 }, { tbl.records[1].line, tbl.records[2].line })
    assert.is_nil(tbl.columns[3].field)
    assert.same({ code = 1, name = 2, ["attributes.Salt"] = 4 }, tbl.positions)
  end)

  it("is read however it is written", function()
    local tbl = read '\xEF\xBB\xBFtitle\tid\r\n"a, b"\tC1\r\n'
    assert.same({ name = "a, b", code = "C1" }, tbl.records[1].cells)
    assert.equal("\t", tbl.dialect.separator)
  end)

  it("takes what a person says of its columns", function()
    local text = "ID,Title,Vendor\nC1,a,V\n"
    local tbl = read(text, { set = { Vendor = "attributes.vendor", ID = "ignore" } })
    assert.same({ name = "a", ["attributes.vendor"] = "V" }, tbl.records[1].cells)
    refused("there is no column 'Vendr'. Did you mean 'Vendor'", text, { set = { Vendr = "name" } })
    refused("there is no field 'nam'. Did you mean 'name'", text, { set = { Vendor = "nam" } })
    assert.same({ code = "C1", name = "NA" },
      read("id,name\nC1,NA\n", { dialect = { missing = { "", "-" } } }).records[1].cells)
  end)

  it("is refused when it is none", function()
    refused('the columns "title" and "name" are both for name', "title,name\na,b\n")
    refused("both for attributes", "attributes,attributes.x\na,b\n")
    refused("no rows", "name\n")
    local failure = refused("there is no column for name. Its header may be: compound name, title", "id,x\nC1,y\n",
      { required = { "name" } })
    assert.equal(1, failure.line)
    assert.equal(3, refused("t.csv", 'id,name\nC1,a\nC2,b,c\n').line)
  end)
end)
