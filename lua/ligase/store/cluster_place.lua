--- Where the private cluster lies: its folder, its owner, its socket.
---
--- Postgres refuses to run as root, so under root it runs as another user. That user
--- must be able to enter every folder above the cluster, and must own it; where a
--- workspace does not allow that, the cluster lies elsewhere and a file in the
--- workspace says where. Only that file makes it the workspace's: one that is made anew
--- at an old path never takes over what the earlier one left. A unix socket's path is
--- limited to 107 bytes; where the cluster's folder is too deep, the socket lies in a
--- private folder of its own.
---
---   <workspace>/.ligase/pg/           the cluster (or .ligase/pg_folder names it)
---     data/                           Postgres' own folder
---     log                             what the server says
---     run/                            the socket (or socket_folder names its folder)
local errors = require "ligase.base.errors"
local sys = require "sys"

local M = {}

--- Role and database in the private cluster.
M.NAME = "ligase"

---@class ligase.ClusterPlace
---@field home string the workspace's .ligase folder
---@field folder string the cluster's folder
---@field data string Postgres' own folder in it
---@field log string the log file
---@field owner {name: string, uid: integer, gid: integer} the user the server runs as
---@field left string[]|nil what workspaces at the same path left, when this one was just made beside it

--- Users to run the server as when ligase is root, in order of preference.
M.SERVER_USERS = { "postgres", "nobody" }

local SOCKET_FILE = "/.s.PGSQL.5432"
local SOCKET_PATH_LIMIT_BYTES = 107
local PRIVATE = tonumber("700", 8)
local PASSABLE = tonumber("711", 8) -- others may pass through, not look around
local OTHERS = tonumber("077", 8)
local OTHERS_WRITE = tonumber("022", 8)

local ELSEWHERE_HINT =
  "Choose a workspace that you may write to, or set POSTGRES_URL to use a server of your own"

--- Raises an error about the private Postgres. A failure of the operating system
--- that led to it lends its code and its words.
---@param message string
---@param hint? string
---@param cause? any
function M.fail(message, hint, cause)
  if errors.is(cause, "interrupted") then
    error(cause, 0)
  end
  local code = errors.is(cause, "system") and cause.code or "cluster"
  if cause ~= nil then
    message = ("%s: %s"):format(message, errors.is(cause) and cause.message or tostring(cause))
  end
  errors.raise { kind = "system", code = code, message = message, hint = hint }
end

--- The user this process acts as.
---@return {name: string, uid: integer, gid: integer, home: string}
function M.me()
  local me = sys.user()
  if not me or not me.name then
    M.fail("this process's user has no name, and Postgres does not run for nameless users",
      "Add the user to /etc/passwd, or set POSTGRES_URL to use a server of your own")
  end
  return me
end

local function server_user(me)
  if me.uid ~= 0 then
    return me
  end
  for _, name in ipairs(M.SERVER_USERS) do
    local user = sys.user(name)
    if user and user.uid ~= 0 then
      return user
    end
  end
  M.fail("Postgres does not run as root, and there is no user postgres or nobody to run it as",
    "Run: apt-get install postgresql, or set POSTGRES_URL to use a server of your own")
end

--- The options by which sys.run starts a program as the cluster's owner.
---@param place ligase.ClusterPlace
---@return integer? uid nil when this process is the owner
function M.run_as(place)
  return place.owner.uid ~= M.me().uid and place.owner.uid or nil
end

local function read_line(path)
  local found = sys.stat(path)
  if not found or found.type ~= "file" or found.size_bytes > 8192 then
    return nil
  end
  local line = sys.read_file(path):match("^[^\n]*")
  return line ~= "" and line or nil
end

local function describe(home, folder, owner)
  return {
    home = home,
    folder = folder,
    data = folder .. "/data",
    log = folder .. "/log",
    owner = owner,
  }
end

-- Finding -------------------------------------------------------------------

--- The workspace's cluster if there is one, complete or not. Raises when it belongs
--- to someone else.
---@param workspace string a folder
---@return ligase.ClusterPlace?
function M.find(workspace)
  local home = workspace .. "/.ligase"
  local folder = home .. "/pg"
  local found, stat = pcall(function()
    local here = sys.stat(folder)
    if not here then
      folder = read_line(home .. "/pg_folder")
      here = folder and folder:sub(1, 1) == "/" and sys.stat(folder) or nil
    end
    return here
  end)
  if not found then
    M.fail("cannot look for the private Postgres", ELSEWHERE_HINT, stat)
  end
  if not stat then
    return nil
  end
  if stat.type ~= "directory" then
    M.fail(("%s should be the private Postgres' folder, but is a %s"):format(folder, stat.type),
      "Move it away")
  end
  local me = M.me()
  local owner = sys.user(stat.uid)
  if me.uid ~= 0 and stat.uid ~= me.uid or not owner then
    local name = owner and "user " .. owner.name or "user id " .. stat.uid
    M.fail(("the private Postgres in %s belongs to %s"):format(folder, name),
      ("Run ligase as root or as that user, work in a workspace of your own, or set POSTGRES_URL"))
  end
  if owner.uid == 0 then
    if sys.stat(folder .. "/data") then
      M.fail(("the private Postgres in %s belongs to root, as whom Postgres does not run"):format(folder),
        ("Run: chown -R %s '%s'"):format(server_user(me).name, folder))
    end
    return nil -- made, but not yet given away when ligase ended
  end
  return describe(home, folder, owner)
end

-- Making --------------------------------------------------------------------

--- A short name for a folder, the same on every day.
local function short_name(folder)
  return sys.sha256(folder):sub(1, 16)
end

local function make_folder(path, mode)
  if sys.mkdir(path, { parents = true, mode = mode }) then
    sys.chmod(path, mode) -- whatever the umask was
  end
end

--- Gives the folder to its owner, and nobody else a look.
local function give_away(folder, owner, me)
  make_folder(folder, PRIVATE)
  if owner.uid ~= me.uid then
    sys.chown(folder, owner.uid, owner.gid)
  end
  sys.chmod(folder, PRIVATE)
end

--- Why the owner could not keep a cluster in the folder; nil when it can.
local function obstacle(folder, owner, me)
  local stat = sys.stat(folder)
  if not stat or stat.uid ~= owner.uid or stat.mode & OTHERS ~= 0 then
    return "the file system does not keep owners and permissions"
  end
  if owner.uid ~= me.uid then
    local test = sys.run({ "test", "-w", folder }, { user = owner.uid, cwd = "/", stderr = "capture" })
    if test.code ~= 0 then
      return ("user %s cannot enter all folders above it"):format(owner.name)
    end
  end
end

local function state_folder(me)
  if me.uid == 0 then
    return "/var/lib/ligase"
  end
  local state = sys.getenv("XDG_STATE_HOME")
  if not state or state:sub(1, 1) ~= "/" then
    state = me.home .. "/.local/state"
  end
  return state .. "/ligase"
end

local function is_empty(folder)
  return not sys.stat(folder) or #sys.list(folder) == 0
end

--- The first folder for the workspace in which there is no cluster, and the clusters in those
--- before it. What lies there belongs to who was at this path earlier: who removed the workspace
--- and made it anew, or has moved it.
local function free_folder(state, home)
  local name, left = short_name(home), {}
  local number, folder = 1, ("%s/%s"):format(state, name)
  while not is_empty(folder .. "/pg") do
    left[#left + 1] = sys.stat(folder .. "/pg/data") and folder .. "/pg" or nil
    number = number + 1
    folder = ("%s/%s-%d"):format(state, name, number)
  end
  return folder, left
end

--- Where the cluster lies when it cannot lie in the workspace, and what was left there.
local function folder_elsewhere(home, me)
  local state = state_folder(me)
  make_folder(state, PASSABLE)
  local stat = sys.stat(state)
  if stat.uid ~= me.uid or stat.mode & OTHERS_WRITE ~= 0 then
    M.fail(("%s should belong to %s and be writable to nobody else"):format(state, me.name),
      ("Run: chown %s '%s'; chmod 711 '%s'"):format(me.name, state, state))
  end
  local folder, left = free_folder(state, home)
  make_folder(folder, PASSABLE)
  return folder .. "/pg", left
end

local function write_pointer(path, text)
  sys.write_file(path, text .. "\n", { mode = tonumber("644", 8) })
end

--- Makes the folders for a new cluster, or takes up what an earlier attempt made.
---@param workspace string a folder
---@return ligase.ClusterPlace
function M.make(workspace)
  local found = M.find(workspace)
  if found then
    return found
  end
  local me = M.me()
  local owner = server_user(me)
  local home = M.make_home(workspace)
  local folder = home .. "/pg"
  local made, why = pcall(give_away, folder, owner, me)
  if made then
    why = obstacle(folder, owner, me)
    if not why then
      return describe(home, folder, owner)
    end
    sys.remove(folder)
  elseif errors.is(why, "interrupted") or me.uid ~= 0 then
    M.fail("cannot make the private Postgres", ELSEWHERE_HINT, why)
  else
    pcall(sys.remove, folder)
  end
  local left
  local moved, problem = pcall(function()
    folder, left = folder_elsewhere(home, me)
    give_away(folder, owner, me)
    local still = obstacle(folder, owner, me)
    if still then
      M.fail(("%s will not do for the private Postgres: %s"):format(folder, still), ELSEWHERE_HINT)
    end
    write_pointer(home .. "/pg_folder", folder)
  end)
  if not moved then
    M.fail(("cannot make the private Postgres, neither in %s (%s) nor elsewhere"):format(
      home, errors.is(why) and why.message or why), ELSEWHERE_HINT, problem)
  end
  local place = describe(home, folder, owner)
  place.left = left
  return place
end

--- The workspace's .ligase folder, made when it is not there.
---@param workspace string
---@return string home
function M.make_home(workspace)
  local home = workspace .. "/.ligase"
  local made, problem = pcall(sys.mkdir, home, { parents = true })
  if not made then
    M.fail("cannot make the private Postgres", ELSEWHERE_HINT, problem)
  end
  return home
end

-- The socket ----------------------------------------------------------------

--- Whether libpq and Postgres can both use the folder: libpq takes a comma for the
--- beginning of the next host.
local function can_hold_socket(folder)
  return #folder + #SOCKET_FILE <= SOCKET_PATH_LIMIT_BYTES and not folder:find("[,\n]")
end

--- A folder that only `uid` can have made and only they can write to. Links are not
--- followed: in /tmp anybody could have put one there.
local function is_trustworthy(folder, uid)
  local stat = sys.stat(folder, { follow = false })
  return stat ~= nil and stat.type == "directory" and stat.uid == uid
    and stat.mode & OTHERS_WRITE == 0
end

--- Where this user's private socket folders may lie, the best first.
local function runtime_folders(me)
  if me.uid == 0 then
    return { "/run/ligase", "/tmp/ligase-0" }
  end
  local folders = { "/tmp/ligase-" .. me.uid }
  local runtime = sys.getenv("XDG_RUNTIME_DIR")
  local stat = runtime and runtime:sub(1, 1) == "/" and sys.stat(runtime)
  if stat and stat.uid == me.uid and stat.type == "directory" then
    table.insert(folders, 1, runtime .. "/ligase")
  end
  return folders
end

local function private_socket_folder(place, me)
  for _, parent in ipairs(runtime_folders(me)) do
    local folder = ("%s/%s"):format(parent, short_name(place.folder))
    local made = can_hold_socket(folder) and pcall(function()
      if not sys.stat(parent, { follow = false }) then
        sys.mkdir(parent, { mode = PASSABLE })
        sys.chmod(parent, PASSABLE)
      end
      assert(is_trustworthy(parent, me.uid))
      if not sys.stat(folder, { follow = false }) then
        sys.mkdir(folder, { mode = PRIVATE })
      end
      local stat = sys.stat(folder, { follow = false })
      assert(stat.type == "directory" and (stat.uid == me.uid or stat.uid == place.owner.uid))
      give_away(folder, place.owner, me)
      assert(is_trustworthy(folder, place.owner.uid))
    end)
    if made then
      return folder
    end
  end
  -- Someone sits on the name that would be ours, or nothing is writable but /tmp.
  local folder = sys.temp_dir("/tmp/ligase-")
  give_away(folder, place.owner, me)
  return folder
end

--- The folder of the socket as it was last chosen.
---@param place ligase.ClusterPlace
---@return string
function M.socket_folder(place)
  return read_line(place.folder .. "/socket_folder") or place.folder .. "/run"
end

--- Chooses and makes the folder of the socket, before the server starts.
---@param place ligase.ClusterPlace
---@return string
function M.make_socket_folder(place)
  local me = M.me()
  local record = place.folder .. "/socket_folder"
  local beside = place.folder .. "/run"
  if can_hold_socket(beside) then
    give_away(beside, place.owner, me)
    sys.remove(record)
    return beside
  end
  local recorded = read_line(record)
  if recorded and can_hold_socket(recorded) and is_trustworthy(recorded, place.owner.uid) then
    return recorded
  end
  local folder = private_socket_folder(place, me)
  write_pointer(record, folder)
  return folder
end

--- Removes what a server that was killed left in the socket's folder. Nobody else
--- uses that folder, so what lies there while the server is down is stale.
---@param folder string
function M.clear_socket_folder(folder)
  sys.remove(folder .. SOCKET_FILE)
  sys.remove(folder .. SOCKET_FILE .. ".lock")
end

-- Removing ------------------------------------------------------------------

local function is_within(path, folder)
  return path:sub(1, #folder + 1) == folder .. "/"
end

--- Removes the cluster's folder, and what belongs to it and lies elsewhere.
---@param place ligase.ClusterPlace its server is stopped
function M.remove(place)
  local socket_folder = M.socket_folder(place)
  if not is_within(socket_folder, place.folder) then
    M.clear_socket_folder(socket_folder)
    sys.remove(socket_folder)
  end
  sys.remove_tree(is_within(place.folder, place.home) and place.folder or place.folder:match "^(.*)/pg$")
  sys.remove(place.home .. "/pg_folder")
end

return M
