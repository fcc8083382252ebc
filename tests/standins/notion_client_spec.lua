--- The proof that the stand-in for Notion is faithful: the official client, from npm in the
--- pinned version, goes through what notion_client.js does, and gets what Notion's
--- documentation says.
local host = require "host"
local json = require "ligase.base.json"
local support = require "tests.support"
local sys = require "sys"

local CLIENT = "@notionhq/client@5.26.0"
local FOLDER = host.home .. "/build/notion-client"
local null = json.null

local ARCHIVED = "Can't edit block that is archived. You must unarchive the block before editing."
local NOT_SHARED = " Make sure the relevant pages and databases are shared with your integration."

--- Puts the client into build/ unless it is there; says why when that cannot be done.
local function install()
  local found = pcall(sys.run, { "node", "--version" })
  if not found then
    return "needs node"
  end
  local manifest = FOLDER .. "/node_modules/@notionhq/client/package.json"
  if sys.stat(manifest) and json.decode(sys.read_file(manifest)).version == CLIENT:match("@([%d.]+)$") then
    return nil
  end
  sys.mkdir(FOLDER, { parents = true })
  local done, result = pcall(sys.run, { "npm", "install", "--no-save", "--no-audit", "--no-fund", "--no-package-lock",
    "--prefix", FOLDER, CLIENT }, { timeout_s = 120 })
  return not (done and result.code == 0) and "needs npm and its registry" or nil
end

--- Starts the stand-in as a program; gives the process, its address and the root page.
local function start(folder)
  local out = folder .. "/standin"
  local process = sys.spawn({ host.executable, host.home .. "/tests/standins/notion.lua", "--budget", "0",
    "--seed", "7", "--token", "secret-one", "--token", "person-two" },
    { stdout = out, stderr = "stdout", cwd = folder })
  local address, root
  repeat
    sys.sleep(0.02)
    address, root = sys.read_file(out):match("(http://%S+) root page (%S+) .-\n")
    assert(address or not process:wait(0), sys.read_file(out))
  until address
  return process, address, root
end

describe("the stand-in for Notion, under the official client", function()
  local told, why

  setup(function()
    why = install()
    if why then
      return
    end
    local process <close>, address, root = start(support.workspace())
    local result = sys.run({ "node", host.home .. "/tests/standins/notion_client.js", FOLDER, address, root },
      { timeout_s = 300 })
    assert.equal(0, result.code, result.stderr)
    told = json.decode(result.stdout)
    assert.is_truthy(process:kill("INT"))
  end)

  --- A test that is skipped, with the reason, where the client cannot be had.
  local function says(name, test)
    it(name, function()
      if why then
        pending(why)
      end
      test()
    end)
  end

  local function check_failure(failure, status, code, message)
    assert.is_truthy(failure, "no answer for it")
    assert.equal(message, failure.message)
    assert.equal(code, failure.code)
    assert.equal(status, failure.status)
    assert.is_true(failure.is_client_error)
    assert.is_true(failure.has_request_id)
  end

  local function check_invalid(failure, message)
    check_failure(failure, 400, "validation_error", message)
  end

  says("databases are containers and data sources have the properties", function()
    local database = told.database
    assert.same({ "database", true, 1, "Datasets", false, true, true, "Datasets", "title" }, { database.object,
      database.is_full, database.sources, database.source_name, database.has_properties, database.source_is_full,
      database.parent, database.title, database.title_id })
    assert.same({ Name = "title", ["Ligase ID"] = "rich_text", Count = "number", Stage = "select",
      Tags = "multi_select", Link = "url", Mail = "email", Phone = "phone_number", Done = "checkbox", When = "date",
      Papers = "files", Number = "unique_id", Made = "created_time", Edited = "last_edited_time",
      Maker = "created_by" }, database.types)
    assert.same({ { "draft", "blue" }, { "final", "default" } }, database.options)
    assert.same({ "Address", "Count", "Done", "Edited", "Extra", "Ligase ID", "Made", "Mail", "Maker", "Name",
      "Number", "Papers", "Stage", "Tags", "When" }, told.schema_change)
    assert.same({ "user", "bot" }, told.self)
  end)

  says("pages keep their properties and show them", function()
    local page = told.page
    assert.is_true(page.is_full and page.same and page.url and page.made and page.maker and page.done)
    assert.equal("data_source_id", page.parent)
    assert.is_false(page.in_trash)
    assert.same({ { "first ", null, false }, { "page", "https://example.org/", true } }, page.title)
    assert.same({ "0190-1", 4.5, "final", "https://example.org/a", "a@example.org" }, { page.id, page.count,
      page.stage, page.address, page.mail })
    assert.same({ "lipid", "plasma" }, page.tags)
    assert.same({ "2026-01-02", "2026-01-05", null }, page.when)
    assert.same({ "paper", "external" }, page.papers)
    assert.same({ "LIG", 1 }, page.number)
    assert.equal("00.000Z", page.seconds)
    assert.same({ null, null, null, { "new" }, "a@example.org" }, told.update)
    assert.same({ true, false }, told.editors)
  end)

  says("the trash is left as it is until a page is taken out", function()
    local trash = told.trash
    assert.same({ true, true, 0, true, false }, { trash.in_trash, trash.archived, trash.found, trash.still_readable,
      trash.restored })
    check_invalid(trash.edit, ARCHIVED)
    check_invalid(trash.append, ARCHIVED)
  end)

  says("filters find what they mean", function()
    local a, b, c, d = "Alpha", "beta", "Gamma ray", "delta"
    assert.same({
      text_equals = { b }, text_differs = { a, c, d }, text_contains = { a, c, b, d }, text_lacks = { a, c },
      text_starts = { c }, text_ends = { b, d }, text_empty = { d }, number_equals = { b },
      number_differs = { a, c, d }, number_from = { c, b }, number_below = { a }, number_there = { a, c, b },
      select_is = { a, c }, select_is_not = { b, d }, select_empty = { d }, tags_contain = { b, d },
      tags_lack = { c, d }, checked = { a, c }, date_before = { a }, date_on_or_before = { a, b },
      date_after = { c, b }, date_equals = { b }, date_empty = { d }, edited = { a, c, b, d }, made_never = {},
      both = { c }, either = { a, d }, nested = { b },
    }, told.filters)
    assert.same({ up = { a, b, c, d }, down = { c, b, a, d }, two = { c, a, b, d }, title = { a, b, d, c } },
      told.sorts)
  end)

  says("queries that make no sense are refused", function()
    local errors = told.query_errors
    check_invalid(errors.property, "Could not find property with name or id: Nothing")
    check_invalid(errors.kind, "The property type in the database does not match the property type of the filter "
      .. "provided: database property number does not match filter rich_text")
    check_invalid(errors.sort, "Could not find sort property with name or id: Nothing")
    check_invalid(errors.size, "body failed validation: body.page_size should be ≤ `100`, instead was `101`.")
    check_invalid(errors.cursor, "The start_cursor provided is invalid: 11111111-1111-4111-8111-111111111111")
    assert.matches("^body failed validation: body.filter.and%[0%].or%[0%].and should be not present",
      errors.depth.message)
  end)

  says("lists go on past 100, and queries end at 10,000", function()
    assert.same({ count = 250, distinct = 250, sorted = 250, first = "page 99", last = "page 1" }, told.paging)
    assert.same({ count = 10000, answers = 100, distinct = 10000, has_more = false,
      status = { type = "incomplete", incomplete_reason = "query_result_limit_reached" }, said_from_the_first = true,
      beyond = { 111, 1, true } }, told.cut_off)
  end)

  says("relations show 25 references, and have more", function()
    local relations = told.relations
    assert.same({ 25, true, 60, true, { true }, true }, { relations.shown, relations.has_more, relations.all,
      relations.right, relations.back, relations.hundred })
    check_invalid(relations.too_many,
      "body failed validation: body.properties.Targets.relation.length should be ≤ `100`, instead was `101`.")
    check_failure(relations.missing, 404, "object_not_found",
      "Could not find page with ID: 11111111-1111-4111-8111-111111111111." .. NOT_SHARED)
    assert.same({ "list", "property_item", "hub" }, told.property_item)
    assert.equal(100, told.long_title)
  end)

  says("blocks are appended within the limits", function()
    local blocks = told.blocks
    assert.same({ 100, 103, true, "one", true, "changed", true, 102, "Narrative", 2000 }, { blocks.appended,
      blocks.all, blocks.is_full, blocks.last, blocks.has_children, blocks.changed, blocks.gone, blocks.left,
      blocks.child_page, blocks.longest })
    assert.same({ "top", "line 0", "after line 0", "line 1" }, blocks.start)
    assert.same({ { "two", true, "block_id" } }, blocks.below)
    check_invalid(blocks.too_many,
      "body failed validation: body.children.length should be ≤ `100`, instead was `101`.")
    local content = "body failed validation: body.children[0].paragraph.rich_text[0].text.content"
    check_invalid(blocks.too_long, content .. ".length should be ≤ `2000`, instead was `2001`.")
    check_invalid(blocks.wide, content .. ".length should be ≤ `2000`, instead was `2002`.")
    assert.matches("paragraph.children%[0%].paragraph.children should be not present", blocks.too_deep.message)
    for _, name in ipairs { "too_deep", "too_big", "no_block" } do
      assert.equal("validation_error", blocks[name].code)
    end
  end)

  says("search knows titles", function()
    assert.same({ "Gamma ray" }, told.search.pages)
    assert.same({ { "data_source", true } }, told.search.sources)
  end)

  says("who may not, and what is not there", function()
    local errors, id = told.errors, "22222222-2222-4222-8222-222222222222"
    check_failure(errors.token, 401, "unauthorized", "API token is invalid.")
    check_failure(errors.page, 404, "object_not_found", ("Could not find page with ID: %s."):format(id) .. NOT_SHARED)
    check_failure(errors.source, 404, "object_not_found",
      ("Could not find data_source with ID: %s."):format(id) .. NOT_SHARED)
    check_failure(errors.block, 404, "object_not_found",
      ("Could not find block with ID: %s."):format(id) .. NOT_SHARED)
    assert.matches("^Could not find data_source with ID", errors.not_shared.message)
    assert.equal(404, errors.not_shared.status)
  end)

  says("requests that say something wrong are told what", function()
    local errors = told.errors
    local function limited(path, most, count)
      return ("body failed validation: body.properties.%s.length should be ≤ `%d`, instead was `%d`."):format(path,
        most, count)
    end
    check_invalid(errors.id, 'path failed validation: path.page_id should be a valid uuid, instead was `"nonsense"`.')
    check_invalid(errors.unknown, "Bar is not a property that exists. Foo is not a property that exists.")
    check_invalid(errors.kind, "Count is expected to be number.")
    assert.matches('^body failed validation. Fix one:\n.*body.properties.Count.number should be a number or `null`, '
      .. 'instead was `"1"`.\n', errors.form.message)
    check_invalid(errors.long, limited("Ligase ID.rich_text[0].text.content", 2000, 2001))
    check_invalid(errors.pieces, limited("Ligase ID.rich_text", 100, 101))
    check_invalid(errors.tags, limited("Tags.multi_select", 100, 101))
    check_invalid(errors.url, limited("Address.url", 2000, 2020))
    check_invalid(errors.comma, "Invalid select option, commas not allowed: a, b")
    assert.matches("body.properties.When.date.start should be a valid ISO 8601 date string", errors.date.message)
    check_invalid(errors.no_parent, "body failed validation: body.parent should be defined, instead was `undefined`.")
    check_invalid(errors.no_title, "Title is not provided")
    check_failure(errors.path, 400, "invalid_request_url", "Invalid request URL.")
    assert.equal("invalid_json", errors.json.code)
    assert.equal("Error parsing JSON body.", errors.json.message)
  end)

  says("versions differ as documented", function()
    local errors = told.errors
    assert.same({ "error", 400, "missing_version" }, { errors.version.object, errors.version.status,
      errors.version.code })
    assert.is_false(errors.old_query.failed)
    assert.same({ "Datasets", "Second" }, errors.sources)
    check_invalid(errors.multiple, "Databases with multiple data sources are not supported in this API version.")
    local data = errors.multiple.additional_data
    assert.equal("multiple_data_sources_for_database", data.error_type)
    assert.equal(2, #data.child_data_source_ids)
    assert.is_false(errors.newer_has_archived)
    assert.equal("validation_error", errors.archived_is_gone.code)
  end)

  says("faults do what they say, to the page too", function()
    local faults = told.faults
    local expected = { -- status, code, pages made
      lost_reply = { null, null, 1 }, closed = { null, null, 0 }, truncated = { null, null, 1 },
      cut_json = { null, null, 1 }, html = { null, null, 0 },
      slow = { null, "notionhq_client_request_timeout", 1 },
      unavailable = { 503, "service_unavailable", 0 }, unavailable_committed = { 503, "service_unavailable", 1 },
      unavailable_named = { 503, "service_unavailable", 1 }, internal_error = { 500, "internal_server_error", 0 },
      bad_gateway = { 502, "notionhq_client_response_error", 0 }, conflict = { 409, "conflict_error", 0 },
      rate_limited = { 429, "rate_limited", 0 }, overloaded = { 529, "service_overload", 0 },
      blocked = { 429, "rate_limited", 0 },
    }
    for name, values in pairs(expected) do
      local fault = faults[name]
      assert.same(values, { fault.status, fault.code, fault.pages }, name)
    end
    assert.matches("^%x+%-", faults.unavailable_named.additional_data.committed_resource_id)
    assert.equal("Do not repeat the write.", faults.unavailable_named.additional_data.retry_guidance[2])
    assert.same({ rate_limit_reason = "public_api_space_request_rate_limit", retry_after = "1" },
      faults.rate_limited.additional_data)
    assert.same({ failed = false, pages = 1 }, faults.retried)
    assert.is_true(faults.waited)
    assert.equal(0, told.counters.inside_retry_after)
    assert.same({}, told.duplicates.duplicates)
  end)
end)
