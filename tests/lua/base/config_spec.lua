local config = require "ligase.base.config"
local errors = require "ligase.base.errors"
local sys = require "sys"

describe("config", function()
  local folder

  before_each(function()
    folder = sys.temp_dir("ligase-spec-")
  end)
  after_each(function()
    sys.remove_tree(folder)
  end)

  --- Loads a workspace with that .env (none when nil) and that environment only.
  local function load_with(env, environment)
    sys.remove(folder .. "/.env")
    if env then
      sys.write_file(folder .. "/.env", env)
    end
    return config.load { workspace = folder, environ = function(name)
      return (environment or {})[name]
    end }
  end

  local function refused(env, environment)
    local done, failure = pcall(load_with, env, environment)
    assert.is_false(done, "no error for: " .. tostring(env))
    assert.is_true(errors.is(failure), tostring(failure))
    return failure
  end

  local function refused_line(env, line, ...)
    local failure = refused(env)
    assert.equal("input", failure.kind)
    assert.equal(folder .. "/.env", failure.file)
    assert.equal(line, failure.line)
    for _, words in ipairs { ... } do
      assert.truthy(tostring(failure):find(words, 1, true), tostring(failure))
    end
  end

  local function refused_flag(env, environment, ...)
    local failure = refused(env, environment)
    assert.equal("usage", failure.kind)
    for _, words in ipairs { ... } do
      assert.truthy(tostring(failure):find(words, 1, true), tostring(failure))
    end
  end

  local function listed(loaded, name)
    for _, entry in ipairs(loaded:list()) do
      if entry.name == name then
        return entry
      end
    end
  end

  describe("values", function()
    it("are the documented defaults when nothing is said", function()
      local loaded = load_with()
      assert.is_true(loaded:get "USE_POSTGRES_AS_SOT")
      assert.is_false(loaded:get "ENABLE_NOTION_SYNC")
      assert.is_false(loaded:get "ENABLE_DUAL_WRITE")
      assert.is_true(loaded:get "ENABLE_FEATURE_LINKING")
      assert.is_true(loaded:get "ENABLE_SIGNATURE_SCORING")
      assert.equal(0.3, loaded:get "SIGNATURE_OVERLAP_THRESHOLD")
      assert.is_false(loaded:get "POSTGRES_ECHO")
      assert.equal("none", loaded:get "VECTOR_BACKEND")
      assert.is_nil(loaded:get "NOTION_API_KEY")
      assert.is_nil(loaded:postgres())
      assert.equal("default", loaded:source "VECTOR_BACKEND")
      assert.is_false(loaded:is_set "VECTOR_BACKEND")
    end)

    it("come from .env, and from the environment first", function()
      local loaded = load_with("POSTGRES_ECHO=yes\n\nENABLE_FEATURE_LINKING=0\n",
        { ENABLE_FEATURE_LINKING = "TRUE" })
      assert.is_true(loaded:get "POSTGRES_ECHO")
      assert.equal(".env:1", loaded:source "POSTGRES_ECHO")
      assert.is_true(loaded:get "ENABLE_FEATURE_LINKING")
      assert.equal("environment", loaded:source "ENABLE_FEATURE_LINKING")
    end)

    it("go back to the default when empty, wherever that is said", function()
      assert.is_nil(load_with("POSTGRES_URL=\n"):postgres())
      local loaded = load_with("POSTGRES_URL=postgresql://h/d\n", { POSTGRES_URL = "" })
      assert.is_nil(loaded:postgres())
      assert.equal("default", loaded:source "POSTGRES_URL")
    end)

    it("have their types", function()
      local loaded = load_with("POSTGRES_HOST=h\nPOSTGRES_PORT=6543\nSIGNATURE_OVERLAP_THRESHOLD=1\n" ..
        "VECTOR_BACKEND=PGVector\nEMBEDDING_URL=http://127.0.0.1:8080/v1\nNOTION_PROGRAMS_DB_ID=1a2b\n")
      assert.equal(6543, loaded:get "POSTGRES_PORT")
      assert.equal("float", math.type(loaded:get "SIGNATURE_OVERLAP_THRESHOLD"))
      assert.equal("pgvector", loaded:get "VECTOR_BACKEND")
      assert.equal("1a2b", loaded:get "NOTION_PROGRAMS_DB_ID")
    end)

    it("that are wrong are refused with flag, value, place and what is valid", function()
      refused_flag("\nENABLE_DUAL_WRITE=maybe", nil, "ENABLE_DUAL_WRITE is 'maybe'", ".env:2", "true or false")
      refused_flag(nil, { VECTOR_BACKEND = "pine" }, "'pine'", "environment", "none, pgvector or pinecone")
      for _, bad in ipairs { "0", "65536", "x", "54.32", "1e3", "0x10", "-1" } do
        refused_flag("POSTGRES_HOST=h\nPOSTGRES_PORT=" .. bad, nil, "POSTGRES_PORT", "from 1 to 65535")
      end
      for _, bad in ipairs { "1.01", "-0.1", "nan", "30%", "0,3" } do
        refused_flag("SIGNATURE_OVERLAP_THRESHOLD=" .. bad, nil, "a number from 0 to 1")
      end
      refused_flag("POSTGRES_URL=mysql://h/d", nil, "postgresql://")
      refused_flag("CHAT_URL=localhost:8080", nil, "http://... or https://...")
    end)

    it("never show a password, not even a wrong one", function()
      local failure = refused("POSTGRES_URL=mysql://u:hunter2@h/d")
      assert.is_nil(tostring(failure):find("hunter2", 1, true))
      failure = refused("POSTGRES_URL=u:hunter2@h/d")
      assert.is_nil(tostring(failure):find("hunter2", 1, true))
      failure = refused("NOTION_API_KEY='hunter2' 'more")
      assert.is_nil(tostring(failure):find("more", 1, true))
    end)

    it("have names; others are refused with the nearest", function()
      local loaded = load_with()
      local done, failure = pcall(loaded.get, loaded, "POSTGRES_URI")
      assert.is_false(done)
      assert.is_true(errors.is(failure, "usage"))
      assert.truthy(failure.hint:find("POSTGRES_URL", 1, true))
      assert.is_false((pcall(loaded.source, loaded, "NONSENSE")))
    end)

    it("include the family of Notion databases", function()
      local loaded = load_with("NOTION_LIPID_SPECIES_DB_ID=abc\n", { NOTION_GENES_DB_ID = "def" })
      assert.equal("abc", loaded:get "NOTION_LIPID_SPECIES_DB_ID")
      assert.equal("def", loaded:get "NOTION_GENES_DB_ID")
      assert.is_nil(loaded:get "NOTION_OTHERS_DB_ID")
      assert.equal("abc", listed(loaded, "NOTION_LIPID_SPECIES_DB_ID").value)
    end)

    it("name all Notion databases, also those of which only the environment knows", function()
      sys.write_file(folder .. "/.env", "NOTION_LIPID_SPECIES_DB_ID=abc\nNOTION_PROGRAMS_DB_ID=def\n")
      sys.setenv("NOTION_GENES_DB_ID", "ghi")
      sys.setenv("NOTION_EMPTY_DB_ID", "")
      local found = config.load({ workspace = folder }):notion_databases()
      sys.setenv("NOTION_GENES_DB_ID", nil)
      sys.setenv("NOTION_EMPTY_DB_ID", nil)
      assert.same({ { name = "NOTION_GENES_DB_ID", value = "ghi", source = "environment" },
        { name = "NOTION_LIPID_SPECIES_DB_ID", value = "abc", source = ".env:1" },
        { name = "NOTION_PROGRAMS_DB_ID", value = "def", source = ".env:2" } }, found)
      assert.same({}, load_with(nil, {}):notion_databases())
    end)
  end)

  describe(".env", function()
    it("is read as people write it", function()
      local loaded = load_with("\xEF\xBB\xBF# settings\r\n\r\n" ..
        "  export CHAT_MODEL = small  # a comment\r\nEMBEDDING_MODEL=' # $x \\n '\r\n" ..
        "PINECONE_INDEX=\"a\\tb\\\"c\\\\d\\$\\q\" # end\r\nPINECONE_NAMESPACE=a#b=c d\r\nOPENAI_API_KEY=")
      assert.equal("small", loaded:get "CHAT_MODEL")
      assert.equal(" # $x \\n ", loaded:get "EMBEDDING_MODEL")
      assert.equal("a\tb\"c\\d$\\q", loaded:get "PINECONE_INDEX")
      assert.equal("a#b=c d", loaded:get "PINECONE_NAMESPACE")
      assert.is_nil(loaded:get "OPENAI_API_KEY")
      assert.equal(".env:3", loaded:source "CHAT_MODEL")
    end)

    it("may end its lines as an old Mac does", function()
      local loaded = load_with("CHAT_MODEL=a\rEMBEDDING_MODEL=b\r")
      assert.equal("a", loaded:get "CHAT_MODEL")
      assert.equal(".env:2", loaded:source "EMBEDDING_MODEL")
    end)

    it("is refused, with file and line, where it makes no sense", function()
      refused_line("A=1\nnonsense\n", 2, "not a setting: nonsense")
      refused_line("\n\nA B=1\n", 3, "not a setting")
      refused_line("=x", 1)
      refused_line("1A=x", 1)
      refused_line("CHAT_MODEL='x\nB=1", 1, "never closed")
      refused_line("CHAT_MODEL=\"x\\\"", 1, "never closed")
      refused_line("CHAT_MODEL='x'y", 1, "follows the closing quote")
      refused_line("A=1\nB=\0", 2, "NUL")
      refused_line("CHAT_MODEL=a\nA=b\nCHAT_MODEL=c", 3, "second time", "line 1")
    end)

    it("may set what is not ours, but not misspell what is", function()
      local loaded = load_with("PATH=/x\nDJANGO_SECRET=1\nPGHOST=h\nDJANGO_SECRET=2\n")
      assert.is_nil(loaded:postgres())
      refused_line("A=1\nPOSTGRS_URL=postgresql://h/d", 2, "unknown setting POSTGRS_URL", "Did you mean POSTGRES_URL?")
      refused_line("postgres_url=postgresql://h/d", 1, "Did you mean POSTGRES_URL?")
      refused_line("ENABLE_DUAL_WRITES=true", 1, "ENABLE_DUAL_WRITE?")
      refused_line("NOTION_PROGRAM_DB_ID=x", 1, "NOTION_PROGRAMS_DB_ID?")
    end)

    it("may be missing, or be somebody's folder", function()
      assert.equal("default", load_with():source "CHAT_MODEL")
      sys.mkdir(folder .. "/.env")
      assert.equal("default", config.load({ workspace = folder, environ = function() end }):source "CHAT_MODEL")
    end)
  end)

  describe("contradictions", function()
    it("are refused, naming both sides", function()
      refused_flag("ENABLE_DUAL_WRITE=true\nUSE_POSTGRES_AS_SOT=false\nNOTION_API_KEY=x", nil,
        "ENABLE_DUAL_WRITE=true contradicts USE_POSTGRES_AS_SOT=false", ".env:1", ".env:2")
      refused_flag("POSTGRES_HOST=h", { POSTGRES_URL = "postgresql://h/d" },
        "POSTGRES_URL and POSTGRES_HOST are both set", "POSTGRES_URL: environment", "POSTGRES_HOST: .env:1")
    end)

    it("include what cannot work for want of something", function()
      refused_flag("ENABLE_NOTION_SYNC=true", nil, "ENABLE_NOTION_SYNC=true needs NOTION_API_KEY")
      refused_flag("ENABLE_DUAL_WRITE=true", nil, "ENABLE_DUAL_WRITE=true needs NOTION_API_KEY")
      refused_flag("USE_POSTGRES_AS_SOT=false", nil, "USE_POSTGRES_AS_SOT=false needs NOTION_API_KEY")
      refused_flag("VECTOR_BACKEND=pinecone", nil, "needs PINECONE_API_KEY")
      refused_flag("VECTOR_BACKEND=pinecone\nPINECONE_API_KEY=x", nil, "needs PINECONE_INDEX")
      for _, name in ipairs { "DB", "USER", "PASSWORD", "PORT" } do
        refused_flag("POSTGRES_" .. name .. "=1", nil, "no server is", "private cluster")
      end
    end)

    it("are none where all is said", function()
      assert.is_true(load_with("ENABLE_DUAL_WRITE=true\nNOTION_API_KEY=x"):get "ENABLE_DUAL_WRITE")
      assert.is_false(load_with("USE_POSTGRES_AS_SOT=0\nNOTION_API_KEY=x"):get "USE_POSTGRES_AS_SOT")
      assert.equal("pinecone",
        load_with("VECTOR_BACKEND=pinecone\nPINECONE_API_KEY=x\nPINECONE_INDEX=i"):get "VECTOR_BACKEND")
    end)
  end)

  describe("postgres", function()
    it("is the address, or its parts", function()
      assert.equal("postgres://u@h/d", load_with("POSTGRES_URL=postgres://u@h/d"):postgres())
      assert.equal("host=/tmp dbname=d", load_with("POSTGRES_URL='host=/tmp dbname=d'"):postgres())
      assert.same({ host = "h", port = 5432 }, load_with("POSTGRES_HOST=h"):postgres())
      assert.same({ host = "h", port = 1, dbname = "d", user = "u", password = "p w" },
        load_with("POSTGRES_HOST=h\nPOSTGRES_PORT=1\nPOSTGRES_DB=d\nPOSTGRES_USER=u\nPOSTGRES_PASSWORD='p w'")
          :postgres())
    end)
  end)

  describe("list", function()
    it("has every flag once, with value, source and meaning", function()
      local entries, seen = load_with("POSTGRES_ECHO=on"):list(), {}
      assert.equal(#config.flags, #entries)
      for _, entry in ipairs(entries) do
        assert.is_nil(seen[entry.name])
        seen[entry.name] = entry
        assert.is_true(#entry.meaning > 0)
      end
      assert.same({ name = "POSTGRES_ECHO", value = "true", source = ".env:1", meaning = "log SQL", is_set = true },
        seen.POSTGRES_ECHO)
      assert.equal("", seen.NOTION_API_KEY.value)
    end)

    it("masks secrets, also inside addresses", function()
      local secret = "hunter2"
      for _, line in ipairs { "NOTION_API_KEY=%s", "PINECONE_API_KEY=%s", "OPENAI_API_KEY=%s",
        "POSTGRES_HOST=h\nPOSTGRES_PASSWORD=%s", "POSTGRES_URL=postgresql://u:%s@h/d",
        "POSTGRES_URL=postgresql://u:p@%s@h/d", "POSTGRES_URL=postgresql://u@h/d?password=%s&x=y",
        "POSTGRES_URL=host=h password=%s dbname=d", "POSTGRES_URL=\"host=h password = 'x %s' dbname=d\"",
        "CHAT_URL=https://u:%s@h/v1" } do
        for _, entry in ipairs(load_with(line:format(secret)):list()) do
          assert.is_nil(entry.value:find(secret, 1, true), line)
        end
      end
      assert.equal("postgresql://u:********@h/d?x=y",
        listed(load_with("POSTGRES_URL=postgresql://u:p@h/d?x=y"), "POSTGRES_URL").value)
      assert.equal("postgresql://u@h/d", listed(load_with("POSTGRES_URL=postgresql://u@h/d"), "POSTGRES_URL").value)
    end)
  end)

  it("reads the workspace and the environment by itself", function()
    sys.write_file(folder .. "/.env", "CHAT_MODEL=from-file\nEMBEDDING_MODEL=from-file\n")
    local before = { LIGASE_WORKSPACE = sys.getenv("LIGASE_WORKSPACE"), CHAT_MODEL = sys.getenv("CHAT_MODEL") }
    finally(function()
      sys.setenv("LIGASE_WORKSPACE", before.LIGASE_WORKSPACE)
      sys.setenv("CHAT_MODEL", before.CHAT_MODEL)
    end)
    sys.setenv("LIGASE_WORKSPACE", folder)
    sys.setenv("CHAT_MODEL", "from-environment")
    local loaded = config.load()
    assert.equal(sys.real_path(folder), loaded.workspace)
    assert.equal("from-environment", loaded:get "CHAT_MODEL")
    assert.equal("from-file", loaded:get "EMBEDDING_MODEL")
  end)
end)
