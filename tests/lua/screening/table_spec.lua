--- Tables of results, and what follows from them: read from text, without a database.
local columns = require "ligase.screening.columns"
local controls = require "ligase.screening.controls"
local csv = require "csv"
local derive = require "ligase.screening.derive"
local hit_rule = require "ligase.screening.hit_rule"
local host = require "host"
local json = require "ligase.base.json"
local recipes = require "ligase.omics.recipes"
local report = require "ligase.screening.report"
local screening_recipe = require "ligase.intake.screening_recipe"
local tables = require "ligase.screening.table"

local null = host.null
local definition = recipes.load_any("screening").definition

--- Reads texts as ligase screening does.
local function read(texts, options)
  options = options or {}
  texts = type(texts) == "table" and texts or { texts }
  local map = controls.map { controls.checked(options.controls or {}) }
  local results = tables.new { controls = map, roles = screening_recipe.role_words(definition.roles, options.roles),
    unit = options.unit, concentration_unit = options.concentration_unit, duplicates = options.duplicates or "refuse",
    direction = options.direction }
  for i, text in ipairs(texts) do
    local reader <close> = csv.frames({ text = text, name = "t" .. i }, { frame_bytes = options.frame_bytes,
      decimal = options.decimal })
    local shown = ("t%d.csv"):format(i)
    local plan = columns.plan(reader:names(), definition.by_word, options.set or {}, { file = shown, line = 1 })
    results:read({ shown = shown, plan = plan, decimal = options.decimal or ".", plate = options.plate,
      missing = { [""] = true, NA = true } }, columns.FIELDS, function()
      return reader()
    end)
  end
  results:finish()
  local plates, hits = derive.run(results, { direction = options.direction,
    rule = options.rule and hit_rule.read(options.rule) })
  results.map = map
  return results, plates, hits
end

local function refused(why, ...)
  local done, failure = pcall(read, ...)
  assert.is_false(done)
  assert.matches(why, tostring(failure), 1, true)
  return failure
end

local PLATE = [[
plate,well,compound,role,conc (µM),signal
P1,A1,C1,,10,100
P1,A2,C2,,10,950
P1,A3,C3,,10,480
P1,a04,C4,,10,OVER
P1,B1,staurosporine,pos,1,50
P1,B2,staurosporine,pos,1,55
P1,B3,staurosporine,pos,1,45
P1,C1,,neg,,1000
P1,C2,,neg,,1010
P1,C3,,neg,,990
]]

describe("a potency", function()
  it("that is not above 0 is no number, and no hit", function()
    local results, _, hits = read("compound,IC50 (nM)\na,-4\nb,0\nc,<0\nd,5\n", { rule = "ic50 <= 1 µM" })
    assert.same({ null, null, null, 5e-9 }, results.value)
    assert.same({ ["2"] = "-4" }, json.decode(results.cells[1]))
    assert.same({ 1, 3 }, { hits.hits, hits.undecided })
    assert.matches("3 concentrations that are not above 0, kept as text: -4 (line 2), 0 (line 3), 0 (line 4)",
      report.reading_doubts(results, results.map)[1], 1, true)
    assert.same({ null, null, 1e-6 }, (read "compound,pIC50\na,400\nb,-400\nc,6\n").value)
  end)
end)

describe("a table of wells", function()
  it("gives plates, percentages and hits", function()
    local results, plates, hits = read(PLATE, { direction = "inhibition", rule = "percent >= 50" })
    assert.equal(10, results.n)
    assert.same({ "A01", "A02", "A03", "A04" }, table.move(results.well, 1, 4, 1, {}))
    assert.same({ "sample", "positive", "negative" }, { results.role[1], results.role[5], results.role[8] })
    assert.same({ 1e-5, 1e-6, null }, { results.concentration_m[1], results.concentration_m[5],
      results.concentration_m[8] })
    assert.equal(1, #plates)
    local plate = plates[1]
    assert.same({ "P1", 10, 4, 3, 3 }, { plate.plate, plate.wells, plate.samples, plate.positive.n, plate.negative.n })
    assert.near(1 - 3 * 15 / 950, plate.z_prime, 1e-12)
    assert.near((950 - 45) / 10, plate.signal_window, 1e-12)
    assert.near(100 * 900 / 950, results.percent_effect[1], 1e-12)
    assert.near(100 * 50 / 950, results.percent_effect[2], 1e-12)
    assert.near(100, results.percent_effect[5], 1e-12)
    assert.equal(null, results.percent_effect[4])
    assert.same({ true, false, true, null, null, null }, table.move(results.is_hit, 1, 6, 1, {}))
    assert.same({ hits = 2, undecided = 1, judged = 4 }, hits)
    assert.equal(2, plate.hits)
    -- What is no number is kept, and said.
    assert.same({ null, '{"6":"OVER"}' }, { results.value[4], results.cells[4] })
    assert.same({ count = 1, examples = { "OVER (line 5)" } }, results.notes.not_numeric)
    -- z against the three numbers that the samples have: mean 510, sd 425.79...
    local mean = (100 + 950 + 480) / 3
    local sd = math.sqrt(((100 - mean) ^ 2 + (950 - mean) ^ 2 + (480 - mean) ^ 2) / 2)
    assert.near((950 - mean) / sd, results.z_score[2], 1e-12)
    assert.near((950 - 480) / (1.482602218505602 * 380), results.robust_z[2], 1e-12)
  end)

  it("is the same in frames of any size", function()
    local whole, small = read(PLATE, { direction = "inhibition" }), read(PLATE, { direction = "inhibition",
      frame_bytes = 1 })
    for _, field in ipairs { "well", "value", "role", "cells", "percent_effect", "z_score", "line", "ordinal" } do
      assert.same(whole[field], small[field])
    end
  end)

  it("calls no hits without a rule, and gives no percentages without a direction", function()
    local results, plates, hits = read(PLATE)
    assert.is_nil(hits)
    assert.is_nil(plates[1].hits)
    for i = 1, results.n do
      assert.equal(null, results.is_hit[i])
      assert.equal(null, results.percent_effect[i])
    end
    local said = table.concat(report.reckoning_doubts(plates, hits, { direction = null, hit_rule = null }), "\n")
    assert.matches("no percentages: the campaign declares no direction", said)
    assert.matches("no hits are called: the campaign declares no hit rule", said)
    assert.is_number(plates[1].z_prime) -- which needs neither
  end)

  it("says why a plate has no Z'", function()
    local _, plates = read("plate,well,role,value\nA,A1,sample,5\nA,A2,pos,1\nB,A1,pos,1\nB,A2,pos,2\nB,A3,neg,9\n"
      .. "B,A4,neg,8\nC,A1,sample,4\n", { direction = "inhibition" })
    assert.equal("only one positive control, no negative controls", plates[1].reason)
    assert.is_nil(plates[2].reason)
    assert.equal("no positive controls, no negative controls", plates[3].reason)
    assert.is_nil(plates[1].z_prime)
    assert.is_number(plates[2].z_prime)
    assert.same({ "no Z' for 1 plate (A): only one positive control, no negative controls",
      "no Z' for 1 plate (C): no positive controls, no negative controls" },
      { table.unpack(report.reckoning_doubts(plates, nil, { direction = "inhibition" }), 1, 2) })
  end)

  it("says when the controls lie the other way round", function()
    local _, plates = read(PLATE, { direction = "activation" })
    assert.matches("positive controls are lower than the negative ones in a campaign of activation",
      table.concat(report.reckoning_doubts(plates, nil, { direction = "activation" })))
    _, plates = read(PLATE, { direction = "inhibition" })
    assert.not_matches("positive controls are", table.concat(report.reckoning_doubts(plates, nil,
      { direction = "inhibition" })))
  end)

  it("takes controls by well and by name", function()
    local results, plates = read("well,compound,value\nA1,x,5\nA2,Stauro,1\nA3,stauro,2\nH1,DMSO,9\nH2,,8\nH3,,8\n", {
      plate = "P", controls = { positive = "Stauro", negative = "row H" }, direction = "inhibition" })
    assert.same({ "sample", "positive", "positive", "negative", "negative", "negative" }, results.role)
    assert.equal("P", plates[1].plate)
    assert.is_number(plates[1].z_prime)
    refused("row says positive, and the controls are declared so that it is negative",
      "well,role,value\nA1,pos,5\n", { controls = { negative = "A1" } })
    refused("well A01 is declared negative, and 'x' in it positive", "well,compound,value\nA1,x,5\n",
      { controls = { negative = "A1", positive = "x" } })
  end)

  it("refuses roles that nobody knows, and says how to say them", function()
    local failure = refused("nobody knows the role 'HPE'", "well,role,value\nA1,HPE,5\n")
    assert.same({ "t1.csv", 2, 2 }, { failure.file, failure.line, failure.column })
    assert.matches("--role 'HPE=positive'", failure.hint, 1, true)
    local results = read("well,role,value\nA1,HPE,5\nA2,ZPE,9\n", { roles = { HPE = "positive", ZPE = "negative" } })
    assert.same({ "positive", "negative" }, results.role)
    results = read("well,role,value\nA1,HPE,5\n", { controls = { positive = "HPE" } })
    assert.same({ "positive" }, results.role)
  end)

  it("takes a well without compound and role for empty, and says so", function()
    local results, plates = read("well,compound,value\nA1,x,5\nA2,,7\nA3,y,6\n", { plate = "P" })
    assert.same({ "sample", "empty", "sample" }, results.role)
    assert.same({ count = 1, examples = { "A02 (line 3)" } }, results.notes.unnamed)
    assert.equal(null, results.z_score[2])
    assert.equal(2, plates[1].samples)
  end)

  it("refuses a well that stands twice, or does with it what was asked for", function()
    local twice = "plate,well,compound,value\nP,A1,x,5\nQ,A1,x,6\nP,a01,y,7\nP,B1,z,8\n"
    local failure = refused("well A01 of plate 'P' stands twice, first in line 2", twice)
    assert.equal(4, failure.line)
    assert.matches("--duplicates", failure.hint)
    local results = read(twice, { duplicates = "keep" })
    assert.same({ 5, 6, 7, 8 }, results.value)
    assert.equal(1, results.notes.twice.count)
    results = read(twice, { duplicates = "exclude" })
    assert.same({ "excluded", "sample", "excluded", "sample" }, results.role)
    assert.same({ 5, 6, 7, 8 }, results.value) -- stored all the same
    refused("first in line 2 of t1.csv", { "plate,well,value\nP,A1,5\n", "plate,well,value\nP,A1,5\n" })
  end)

  it("refuses mixed units", function()
    local failure = refused("the value is in 'OD', others are in 'RLU' (t1.csv, line 2)",
      "well,value,unit\nA1,5,RLU\nA2,6,OD\n", { plate = "P" })
    assert.equal(3, failure.line)
    refused("the value is without a unit, others are in 'RLU'", "well,value\nA1,5 RLU\nA2,6\n", { plate = "P" })
    assert.same({ "RLU", "RLU" }, read("well,value,unit\nA1,5,RLU\nA2,6,\n", { unit = "RLU" }).unit)
    refused("'RFU'", { "well,value [RLU]\nA1,5\n", "well,value [RFU]\nA2,5\n" })
  end)

  it("refuses what is no well, no plate, no table", function()
    local failure = refused("'Z99' is no well", "plate,well,value\nP,A1,1\nP,Z99,1\n")
    assert.same({ 3, 2 }, { failure.line, failure.column })
    refused("the row names no plate", "plate,well,value\nP,A1,1\n,A2,1\n")
    refused("row 'XX', column '1' is no well", "row,column,value\nXX,1,1\n")
    refused("no column holds results", "plate,well\nP,A1\n")
    refused('the columns "signal" and "value" both hold value', "well,signal,value\nA1,1,2\n")
    refused('"row" is there without its column', "row,value\nA,1\n")
    refused("there is no column 'Wel'. Did you mean 'well'?", "well,value\nA1,1\n", { set = { Wel = "well" } })
    refused("Did you mean 'value'?", "well,x\nA1,1\n", { set = { x = "vaule" } })
    refused("no rows", "well,value\n")
  end)

  it("takes row and column for a well, and any header by --set", function()
    local results = read("Row,Col,Lum 560\nB,3,7\n2,4,8\n", { plate = "P", set = { ["Lum 560"] = "value" } })
    assert.same({ "B03", "B04" }, results.well)
    assert.same({ 7.0, 8.0 }, results.value)
  end)

  it("loses no cell of other columns", function()
    local results = read("well,value,comment,batch\nA1,5,\"bubble, \"\"big\"\"\",7\nA2,6,,8\n", { plate = "P" })
    assert.same({ [[{"3":"bubble, \"big\"","4":"7"}]], '{"4":"8"}' }, results.cells)
  end)

  it("reckons with exact numbers alone", function()
    local results, plates = read("well,role,value\nA1,,>65000\nA2,,500\nA3,,600\nB1,pos,10\nB2,pos,12\nB3,pos,>20\n"
      .. "C1,neg,1000\nC2,neg,1001\n", { plate = "P", direction = "inhibition" })
    assert.same({ 65000.0, ">" }, { results.value[1], results.relation[1] })
    assert.same({ null, null }, { results.percent_effect[1], results.z_score[1] })
    assert.equal(2, plates[1].positive.n)
    assert.near(11, plates[1].positive.mean, 1e-12)
  end)
end)

describe("percentages of the file's own", function()
  it("are taken where there is no raw value", function()
    local results, plates, hits = read("plate,well,compound,% inhibition\nP,A1,x,75\nP,A2,y,>95\nP,A3,z,-5\n",
      { direction = "inhibition", rule = "percent >= 50" })
    assert.same({ "percent", 75.0, 75.0 }, { results.measure[1], results.value[1], results.percent_effect[1] })
    assert.same({ true, true, false }, results.is_hit)
    assert.equal(2, hits.hits)
    assert.is_nil(plates[1].z_prime)
  end)

  it("must be of the campaign's direction", function()
    local failure = refused('"% inhibition" is of inhibition, and the campaign of activation',
      "plate,well,% inhibition\nP,A1,5\n", { direction = "activation" })
    assert.equal(3, failure.column)
  end)

  it("stay text beside a raw value", function()
    local results = read("plate,well,signal,% inhibition\nP,A1,100,75\n", { direction = "inhibition" })
    assert.same({ 1, "raw", '{"4":"75"}', null }, { results.n, results.measure[1], results.cells[1],
      results.percent_effect[1] })
  end)
end)

describe("a table of potencies", function()
  it("keeps relation and unit, and makes them mol/L", function()
    local results, plates, hits = read("compound,IC50,unit\na,>10,µM\nb,25,nM\nc,ND,nM\nd,0.5 uM,nM\ne,3e-7,M\n",
      { rule = "ic50 <= 1 µM" })
    assert.same({ 1e-5, 2.5e-8, null, 5e-7, 3e-7 }, results.value)
    assert.same({ ">", null, null, null, null }, results.relation)
    assert.same({ "M", "M", null, "M", "M" }, results.unit)
    assert.same({ "ic50", null, null }, { results.measure[1], results.plate[1], results.well[1] })
    assert.same({ '{"2":">10","3":"µM"}', '{"2":"25","3":"nM"}', '{"2":"ND","3":"nM"}', '{"2":"0.5 uM","3":"nM"}',
      null }, results.cells)
    assert.same({ false, true, null, true, true }, results.is_hit)
    assert.same({ 0, 3, 1 }, { #plates, hits.hits, hits.undecided })
  end)

  it("takes units from headers, and what has none stays text", function()
    assert.same({ 2.5e-8 }, read("compound,IC50 (nM)\na,25\n").value)
    assert.same({ 2.5e-8 }, read("compound,ic50_nM\na,25\n").value)
    assert.same({ 2.5e-8 }, read("compound,IC50\na,25\n", { unit = "nM" }).value)
    local results = read("compound,IC50\na,25\nb,7 µg/mL\n")
    assert.same({ null, null }, results.value)
    assert.same({ '{"2":"25"}', '{"2":"7 µg/mL"}' }, results.cells)
    assert.same({ 1, 1 }, { results.notes.without_unit.count, results.notes.unknown_unit.count })
  end)

  it("may have several columns, or a column that says what each value is", function()
    local results = read("compound,IC50 (nM),EC50 (nM)\na,25,100\nb,,7\nc,,\n")
    assert.same({ "ic50", "ec50", "ec50", "ec50" }, results.measure)
    assert.same({ 1, 2, 4, 6 }, results.ordinal)
    assert.same({ 2.5e-8, 1e-7, 7e-9, null }, results.value)
    results = read("compound,standard type,standard relation,value,standard units\na,IC50,>,10,uM\na,pEC50,<,6,\n"
      .. "a,Hill slope,=,1.1,\n")
    assert.same({ "ic50", "ec50", "hill slope" }, results.measure)
    assert.same({ 1e-5, 1e-6, 1.1 }, results.value)
    assert.same({ ">", ">", null }, results.relation)
    refused("'?' is no relation", "compound,relation,IC50 (nM)\na,?,5\n")
  end)

  it("takes logarithms", function()
    local results = read("compound,pIC50\na,6\nb,>7\n")
    assert.same({ 1e-6, 1e-7 }, results.value)
    assert.same({ null, "<" }, results.relation)
    assert.same({ '{"2":"6"}', '{"2":">7"}' }, results.cells)
  end)

  it("reads decimal commas where the file has them", function()
    assert.same({ 2.5e-8, 1e-5 }, read("compound,IC50,unit\na,\"25,0\",nM\nb,\"> 10,0 µM\",\n",
      { decimal = "," }).value)
  end)
end)
