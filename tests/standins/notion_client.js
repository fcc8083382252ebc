// Takes the stand-in for Notion through what the official client can do, and prints what came
// back as JSON, one member for each step. notion_client_spec.lua says what is right.
//
//   node notion_client.js FOLDER_OF_NODE_MODULES BASE_URL ROOT_PAGE_ID
"use strict";

const [, , modules, baseUrl, rootPage] = process.argv;
const notion = require(require.resolve("@notionhq/client", { paths: [modules] }));

const quiet = { baseUrl, logLevel: notion.LogLevel.ERROR, logger: () => {} };
const client = new notion.Client({ ...quiet, auth: "secret-one" });
const told = {};

const text = (content) => [{ text: { content } }];
const paragraph = (content, children) => ({ paragraph: { rich_text: text(content), ...(children && { children }) } });
const names = (pages) => pages.map((page) => page.properties.Name.title.map((t) => t.plain_text).join(""));

async function control(method, path, body) {
  const response = await fetch(baseUrl + "/_standin" + path, { method, body: body && JSON.stringify(body) });
  return response.json();
}

/** What a call failed with, as the client tells it. */
async function failure(promise) {
  try {
    await promise;
    return { failed: false };
  } catch (error) {
    return {
      code: error.code, status: error.status, message: error.message, is_client_error: notion.isNotionClientError(error),
      additional_data: error.additional_data, has_request_id: typeof error.request_id === "string",
    };
  }
}

const SCHEMA = {
  Name: { title: {} },
  "Ligase ID": { rich_text: {} },
  Count: { number: { format: "number" } },
  Stage: { select: { options: [{ name: "draft", color: "blue" }, { name: "final" }] } },
  Tags: { multi_select: { options: [] } },
  Link: { url: {} },
  Mail: { email: {} },
  Phone: { phone_number: {} },
  Done: { checkbox: {} },
  When: { date: {} },
  Papers: { files: {} },
  Number: { unique_id: { prefix: "LIG" } },
  Made: { created_time: {} },
  Edited: { last_edited_time: {} },
  Maker: { created_by: {} },
};

async function databases() {
  const database = await client.databases.create({
    parent: { type: "page_id", page_id: rootPage }, title: text("Datasets"),
    initial_data_source: { properties: SCHEMA },
  });
  const again = await client.databases.retrieve({ database_id: database.id });
  const source = await client.dataSources.retrieve({ data_source_id: database.data_sources[0].id });
  const types = Object.fromEntries(Object.entries(source.properties).map(([name, p]) => [name, p.type]));
  told.database = {
    object: database.object, is_full: notion.isFullDatabase(database), sources: again.data_sources.length,
    source_name: again.data_sources[0].name, has_properties: "properties" in again,
    source_is_full: notion.isFullDataSource(source), parent: source.parent.database_id === database.id,
    title: source.title[0].plain_text, types, title_id: source.properties.Name.id,
    options: source.properties.Stage.select.options.map((o) => [o.name, o.color]),
  };
  const changed = await client.dataSources.update({
    data_source_id: source.id,
    properties: { Extra: { rich_text: {} }, Phone: null, Link: { name: "Address" } },
  });
  told.schema_change = Object.keys(changed.properties).sort();
  told.self = await client.users.me({}).then((me) => [me.object, me.type]);
  return { database: database.id, source: source.id };
}

const create = (source, properties, more) =>
  client.pages.create({ parent: { type: "data_source_id", data_source_id: source }, properties, ...more });

async function pages({ source }) {
  const made = await create(source, {
    Name: { title: [...text("first "), { text: { content: "page", link: { url: "https://example.org/" } }, annotations: { bold: true } }] },
    "Ligase ID": { rich_text: text("0190-1") },
    Count: { number: 4.5 },
    Stage: { select: { name: "final" } },
    Tags: { multi_select: [{ name: "lipid" }, { name: "plasma" }] },
    Address: { url: "https://example.org/a" },
    Mail: { email: "a@example.org" },
    Done: { checkbox: true },
    When: { date: { start: "2026-01-02", end: "2026-01-05" } },
    Papers: { files: [{ name: "paper", external: { url: "https://example.org/p.pdf" } }] },
  }, { children: [paragraph("body")] });
  const page = await client.pages.retrieve({ page_id: made.id.replaceAll("-", "") });
  const p = page.properties;
  told.page = {
    is_full: notion.isFullPage(page), same: JSON.stringify({ ...made, request_id: 0 }) === JSON.stringify({ ...page, request_id: 0 }),
    parent: page.parent.type, in_trash: page.in_trash, url: notion.extractPageId(page.url) === page.id,
    title: p.Name.title.map((t) => [t.plain_text, t.href, t.annotations.bold]),
    id: p["Ligase ID"].rich_text[0].text.content, count: p.Count.number, stage: p.Stage.select.name,
    tags: p.Tags.multi_select.map((t) => t.name), address: p.Address.url, mail: p.Mail.email, done: p.Done.checkbox,
    when: [p.When.date.start, p.When.date.end, p.When.date.time_zone], papers: [p.Papers.files[0].name, p.Papers.files[0].type],
    number: [p.Number.unique_id.prefix, p.Number.unique_id.number], made: p.Made.created_time === page.created_time,
    seconds: page.created_time.slice(17), maker: p.Maker.created_by.id === page.created_by.id,
  };
  const updated = await client.pages.update({
    page_id: page.id,
    properties: { Count: { number: null }, Stage: { select: null }, Tags: { multi_select: [{ name: "new" }] }, When: { date: null } },
  });
  told.update = [updated.properties.Count.number, updated.properties.Stage.select, updated.properties.When.date,
    updated.properties.Tags.multi_select.map((t) => t.name), updated.properties.Mail.email];
  const person = new notion.Client({ ...quiet, auth: "person-two" });
  const edited = await person.pages.update({ page_id: page.id, properties: { Count: { number: 1 } } });
  told.editors = [edited.created_by.id === page.created_by.id, edited.last_edited_by.id === page.created_by.id];
  const trashed = await client.pages.update({ page_id: page.id, in_trash: true });
  told.trash = {
    in_trash: trashed.in_trash, archived: trashed.archived,
    edit: await failure(client.pages.update({ page_id: page.id, properties: { Count: { number: 2 } } })),
    append: await failure(client.blocks.children.append({ block_id: page.id, children: [paragraph("x")] })),
    found: (await client.dataSources.query({ data_source_id: source })).results.length,
    still_readable: (await client.pages.retrieve({ page_id: page.id })).in_trash,
    restored: (await client.pages.update({ page_id: page.id, in_trash: false })).in_trash,
  };
  await client.pages.update({ page_id: page.id, in_trash: true });
  return page.id;
}

async function queries({ source }) {
  const rows = [
    ["Alpha", "id-1", 1, "draft", ["a"], true, "2026-01-01"], ["beta", "id-2", 2, "final", ["a", "b"], false, "2026-02-01T12:00:00Z"],
    ["Gamma ray", "id-3", 3, "draft", [], true, "2026-03-01"], ["delta", "", null, null, ["b"], false, null],
  ];
  for (const [name, id, count, stage, tags, done, when] of rows) {
    await create(source, {
      Name: { title: text(name) }, "Ligase ID": { rich_text: text(id) }, Count: { number: count },
      Stage: { select: stage && { name: stage } }, Tags: { multi_select: tags.map((tag) => ({ name: tag })) },
      Done: { checkbox: done }, When: { date: when && { start: when } },
    });
  }
  const filters = {
    text_equals: { property: "Ligase ID", rich_text: { equals: "id-2" } },
    text_differs: { property: "Ligase ID", rich_text: { does_not_equal: "id-2" } },
    text_contains: { property: "Name", title: { contains: "A" } },
    text_lacks: { property: "Name", title: { does_not_contain: "ta" } },
    text_starts: { property: "Name", rich_text: { starts_with: "gam" } },
    text_ends: { property: "Name", title: { ends_with: "ta" } },
    text_empty: { property: "Ligase ID", rich_text: { is_empty: true } },
    number_equals: { property: "Count", number: { equals: 2 } },
    number_differs: { property: "Count", number: { does_not_equal: 2 } },
    number_from: { property: "Count", number: { greater_than_or_equal_to: 2 } },
    number_below: { property: "Count", number: { less_than: 2 } },
    number_there: { property: "Count", number: { is_not_empty: true } },
    select_is: { property: "Stage", select: { equals: "draft" } },
    select_is_not: { property: "Stage", select: { does_not_equal: "draft" } },
    select_empty: { property: "Stage", select: { is_empty: true } },
    tags_contain: { property: "Tags", multi_select: { contains: "b" } },
    tags_lack: { property: "Tags", multi_select: { does_not_contain: "a" } },
    checked: { property: "Done", checkbox: { equals: true } },
    date_before: { property: "When", date: { before: "2026-02-01" } },
    date_on_or_before: { property: "When", date: { on_or_before: "2026-02-01" } },
    date_after: { property: "When", date: { after: "2026-02-01T11:59:00Z" } },
    date_equals: { property: "When", date: { equals: "2026-02-01" } },
    date_empty: { property: "When", date: { is_empty: true } },
    edited: { timestamp: "last_edited_time", last_edited_time: { on_or_after: "2020-01-01" } },
    made_never: { timestamp: "created_time", created_time: { before: "2020-01-01" } },
    both: { and: [{ property: "Done", checkbox: { equals: true } }, { property: "Count", number: { greater_than: 1 } }] },
    either: { or: [{ property: "Count", number: { equals: 1 } }, { property: "Name", title: { equals: "delta" } }] },
    nested: { and: [{ property: "Done", checkbox: { equals: false } },
      { or: [{ property: "Count", number: { equals: 1 } }, { property: "Count", number: { equals: 2 } }] }] },
  };
  told.filters = {};
  for (const [name, filter] of Object.entries(filters)) {
    const answer = await client.dataSources.query({ data_source_id: source, filter });
    told.filters[name] = names(answer.results).sort();
  }
  const sorted = async (sorts) => names((await client.dataSources.query({ data_source_id: source, sorts })).results);
  told.sorts = {
    up: await sorted([{ property: "Count", direction: "ascending" }]),
    down: await sorted([{ property: "Count", direction: "descending" }]),
    two: await sorted([{ property: "Stage", direction: "ascending" }, { property: "Name", direction: "descending" }]),
    title: await sorted([{ property: "Name", direction: "ascending" }]),
  };
  const query = (more) => failure(client.dataSources.query({ data_source_id: source, ...more }));
  told.query_errors = {
    property: await query({ filter: { property: "Nothing", number: { equals: 1 } } }),
    kind: await query({ filter: { property: "Count", rich_text: { equals: "1" } } }),
    sort: await query({ sorts: [{ property: "Nothing", direction: "ascending" }] }),
    size: await query({ page_size: 101 }),
    cursor: await query({ start_cursor: "11111111-1111-4111-8111-111111111111" }),
    depth: await query({ filter: { and: [{ or: [{ and: [{ property: "Done", checkbox: { equals: true } }] }] }] } }),
  };
}

async function many() {
  const database = await client.databases.create({
    parent: { page_id: rootPage }, title: text("Many"),
    initial_data_source: { properties: { Name: { title: {} }, Key: { rich_text: {} } } },
  });
  const source = database.data_sources[0].id;
  await control("POST", "/fill", { data_source_id: source, count: 250, properties: { Name: "page %d", Key: "key %d" } });
  const all = await notion.collectPaginatedAPI(client.dataSources.query, { data_source_id: source });
  const sorted = await notion.collectPaginatedAPI(client.dataSources.query, {
    data_source_id: source, page_size: 100, sorts: [{ property: "Key", direction: "descending" }],
  });
  told.paging = { count: all.length, distinct: new Set(all.map((page) => page.id)).size,
    sorted: sorted.length, first: names(sorted)[0], last: names(sorted)[249] };
  await control("POST", "/fill", { data_source_id: source, count: 9900, properties: { Name: "more %d" } });
  let cursor, count = 0, answers = 0, answer, said = true;
  const seen = new Set();
  do {
    answer = await client.dataSources.query({ data_source_id: source, start_cursor: cursor, filter_properties: ["title"] });
    answer.results.forEach((page) => seen.add(page.id));
    count += answer.results.length;
    answers += 1;
    said = said && answer.request_status?.type === "incomplete";
    cursor = answer.next_cursor ?? undefined;
  } while (cursor);
  const rest = await notion.collectPaginatedAPI(client.dataSources.query,
    { data_source_id: source, filter: { property: "Name", title: { starts_with: "more 97" } } });
  const beyond = await client.dataSources.query({ data_source_id: source, filter: { property: "Name", title: { equals: "more 9900" } } });
  told.cut_off = { count, answers, distinct: seen.size, status: answer.request_status, has_more: answer.has_more,
    said_from_the_first: said, beyond: [rest.length, beyond.results.length, beyond.request_status === undefined] };
}

async function relations() {
  const target = await client.databases.create({
    parent: { page_id: rootPage }, title: text("Targets"), initial_data_source: { properties: { Name: { title: {} } } },
  });
  const targetSource = target.data_sources[0].id;
  const database = await client.databases.create({
    parent: { page_id: rootPage }, title: text("Sources"),
    initial_data_source: { properties: {
      Name: { title: {} },
      Targets: { relation: { data_source_id: targetSource, type: "dual_property", dual_property: {} } },
    } },
  });
  const source = database.data_sources[0].id;
  const { pages: ids } = await control("POST", "/fill", { data_source_id: targetSource, count: 101, properties: { Name: "t %d" } });
  const related = (list) => ({ Name: { title: text("hub") }, Targets: { relation: list.map((id) => ({ id })) } });
  const page = await create(source, related(ids.slice(0, 60)));
  const property = page.properties.Targets;
  const items = await notion.collectPaginatedAPI(client.pages.properties.retrieve,
    { page_id: page.id, property_id: property.id, page_size: 25 });
  const other = await client.pages.retrieve({ page_id: ids[59] });
  const back = Object.values(other.properties).find((p) => p.type === "relation");
  told.relations = {
    shown: property.relation.length, has_more: property.has_more, all: items.length,
    right: items.every((item, i) => item.relation.id === ids[i] && item.object === "property_item"),
    back: back && back.relation.map((r) => r.id === page.id),
    hundred: (await client.pages.update({ page_id: page.id, properties: related(ids.slice(0, 100)) })).properties.Targets.has_more,
    too_many: await failure(client.pages.update({ page_id: page.id, properties: related(ids) })),
    missing: await failure(create(source, related(["11111111-1111-4111-8111-111111111111"]))),
  };
  const plain = await client.pages.properties.retrieve({ page_id: page.id, property_id: "title" });
  told.property_item = [plain.object, plain.type, plain.results[0].title.plain_text];
  const titled = await create(targetSource, { Name: { title: Array.from({ length: 100 }, (_, i) => text(`${i},`)[0]) } });
  told.long_title = titled.properties.Name.title.length;
}

async function blocks() {
  const page = await client.pages.create({ parent: { page_id: rootPage }, properties: { title: { title: text("Narrative") } } });
  const append = (children, position, block_id = page.id) => client.blocks.children.append({ block_id, children, position });
  const list = (count) => Array.from({ length: count }, (_, i) => paragraph(`line ${i}`));
  const first = await append(list(100));
  await append([paragraph("top")], { type: "start" });
  await append([paragraph("after line 0")], { type: "after_block", after_block: { id: first.results[0].id } });
  const nested = await append([paragraph("one", [paragraph("two", [paragraph("three")])])]);
  const all = await notion.collectPaginatedAPI(client.blocks.children.list, { block_id: page.id, page_size: 40 });
  const content = (block) => block.paragraph.rich_text[0].plain_text;
  const below = await client.blocks.children.list({ block_id: nested.results[0].id });
  const changed = await client.blocks.update({ block_id: first.results[1].id, paragraph: { rich_text: text("changed") } });
  const gone = await client.blocks.delete({ block_id: first.results[2].id });
  const left = await notion.collectPaginatedAPI(client.blocks.children.list, { block_id: page.id });
  told.blocks = {
    appended: first.results.length, all: all.length, is_full: notion.isFullBlock(all[0]),
    start: all.slice(0, 4).map(content), last: content(all[all.length - 1]), has_children: all[all.length - 1].has_children,
    below: below.results.map((b) => [content(b), b.has_children, b.parent.type]), changed: content(changed),
    gone: gone.in_trash, left: left.length,
    child_page: (await client.blocks.retrieve({ block_id: page.id })).child_page.title,
    too_many: await failure(append(list(101))),
    too_deep: await failure(append([paragraph("1", [paragraph("2", [paragraph("3", [paragraph("4")])])])])),
    too_long: await failure(append([paragraph("x".repeat(2001))])),
    longest: content((await append([paragraph("x".repeat(2000))])).results[0]).length,
    wide: await failure(append([paragraph("\u{1F600}".repeat(1001))])),
    too_big: await failure(append(Array.from({ length: 100 }, () => ({ paragraph: { rich_text: Array.from({ length: 3 }, () => text("y".repeat(2000))[0]) } })))),
    no_block: await failure(append([{ nonsense: {} }])),
  };
}

async function searching({ source }) {
  const found = await client.search({ query: "gamma", filter: { property: "object", value: "page" } });
  const sources = await client.search({ query: "Datasets", filter: { property: "object", value: "data_source" } });
  told.search = { pages: names(found.results), sources: sources.results.map((s) => [s.object, s.id === source]) };
}

async function errors({ database, source }) {
  const other = new notion.Client({ ...quiet, auth: "wrong" });
  const old = new notion.Client({ ...quiet, auth: "secret-one", notionVersion: "2022-06-28" });
  const newer = new notion.Client({ ...quiet, auth: "secret-one", notionVersion: "2026-03-11" });
  const id = "22222222-2222-4222-8222-222222222222";
  const page = (properties) => failure(create(source, { Name: { title: text("wrong") }, ...properties }));
  const plain = (headers, body) => fetch(`${baseUrl}/v1/data_sources/${source}/query`, { method: "POST", headers, body })
    .then((response) => response.json());
  const bearer = { Authorization: "Bearer secret-one", "Content-Type": "application/json" };
  told.errors = {
    token: await failure(other.users.me({})),
    page: await failure(client.pages.retrieve({ page_id: id })),
    source: await failure(client.dataSources.retrieve({ data_source_id: id })),
    block: await failure(client.blocks.retrieve({ block_id: id })),
    id: await failure(client.pages.retrieve({ page_id: "nonsense" })),
    unknown: await page({ Foo: { number: 1 }, Bar: { number: 2 } }),
    kind: await page({ Count: { rich_text: text("1") } }),
    form: await page({ Count: { number: "1" } }),
    long: await page({ "Ligase ID": { rich_text: text("x".repeat(2001)) } }),
    pieces: await page({ "Ligase ID": { rich_text: Array.from({ length: 101 }, () => text("x")[0]) } }),
    tags: await page({ Tags: { multi_select: Array.from({ length: 101 }, (_, i) => ({ name: `t${i}` })) } }),
    comma: await page({ Stage: { select: { name: "a, b" } } }),
    url: await page({ Address: { url: `https://example.org/${"x".repeat(2000)}` } }),
    date: await page({ When: { date: { start: "yesterday" } } }),
    no_parent: await failure(client.pages.create({ properties: {} })),
    no_title: await failure(client.databases.create({ parent: { page_id: rootPage }, initial_data_source: { properties: { A: { number: {} } } } })),
    path: await failure(client.request({ path: "nothing/here", method: "get" })),
    version: await plain(bearer, "{}"),
    json: await plain({ ...bearer, "Notion-Version": "2025-09-03" }, "{"),
    old_query: await failure(old.request({ path: `databases/${database}/query`, method: "post", body: {} })),
    archived_is_gone: await failure(newer.pages.update({ page_id: rootPage, archived: true })),
    newer_has_archived: "archived" in (await newer.pages.retrieve({ page_id: rootPage })),
  };
  await client.dataSources.create({ parent: { database_id: database }, title: text("Second"), properties: { Name: { title: {} } } });
  told.errors.multiple = await failure(old.request({ path: `databases/${database}/query`, method: "post", body: {} }));
  told.errors.sources = (await client.databases.retrieve({ database_id: database })).data_sources.map((s) => s.name);
  await control("POST", "/hide", { id: source });
  told.errors.not_shared = await failure(client.dataSources.query({ data_source_id: source }));
  await control("POST", "/hide", { id: source, hidden: false });
}

async function faults({ source }) {
  const set = (spec, more) => control("POST", "/faults", { spec, ...more });
  const lookUp = async (key) => (await client.dataSources.query({
    data_source_id: source, filter: { property: "Ligase ID", rich_text: { equals: key } },
  })).results.length;
  const make = (key, using = client) => using.pages.create({ parent: { data_source_id: source },
    properties: { Name: { title: text(key) }, "Ligase ID": { rich_text: text(key) } } });
  const failed = async (fault, using) => {
    await set(`${fault}@page_create*1`, { slow_s: 0.4, retry_after_s: 1 });
    const outcome = await failure(make(fault, using));
    return { ...outcome, pages: await lookUp(fault) };
  };
  const impatient = new notion.Client({ ...quiet, auth: "secret-one", timeoutMs: 100 });
  const hasty = new notion.Client({ ...quiet, auth: "secret-one", retry: false });
  told.faults = {};
  for (const fault of ["lost_reply", "closed", "unavailable", "unavailable_committed", "unavailable_named", "internal_error",
    "bad_gateway", "conflict", "truncated", "cut_json", "html"]) {
    told.faults[fault] = await failed(fault);
  }
  told.faults.slow = await failed("slow", impatient);
  told.faults.rate_limited = await failed("rate_limited", hasty);
  told.faults.overloaded = await failed("overloaded", hasty);
  told.faults.blocked = await failed("blocked", hasty);
  const began = Date.now();
  told.faults.retried = await failed("rate_limited");
  told.faults.waited = Date.now() - began >= 1000;
  await control("DELETE", "/faults");
  told.counters = await control("GET", "/counters");
  told.duplicates = await control("GET", `/duplicates?data_source=${source}&property=Ligase%20ID`);
}

(async () => {
  const ids = await databases();
  await pages(ids);
  await queries(ids);
  await many();
  await relations();
  await blocks();
  await searching(ids);
  await errors(ids);
  await faults(ids);
  console.log(JSON.stringify(told, (_, value) => (value === undefined ? null : value)));
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
