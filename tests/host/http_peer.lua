--- Starts the server that misbehaves on demand (http_peer.py) for a spec file.
local host = require "host"
local support = require "tests.support"
local sys = require "sys"

local M = {}

--- A certificate for 127.0.0.1 that signs itself, and its key.
local function make_certificate(folder)
  local certificate, key = folder .. "/ca.pem", folder .. "/key.pem"
  local made = sys.run({ "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
    "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
    "-keyout", key, "-out", certificate }, { env = { OPENSSL_CONF = "/dev/null" } })
  assert(made.code == 0, made.stderr)
  return certificate, key
end

--- Starts it; stop() ends it.
---@param with_tls? boolean
---@return table peer {url, silent_url, tls_url, ca_file, stop()}
function M.start(with_tls)
  local folder = support.workspace()
  local argv = { "python3", host.home .. "/tests/host/http_peer.py", folder .. "/ports" }
  local certificate
  if with_tls then
    certificate, argv[5] = make_certificate(folder)
    argv[4] = certificate
  end
  -- It ends when the writing end of its standard input is closed: also when this process dies.
  local process = sys.spawn({ "sh", "-c", 'sleep 600 | exec "$0" "$@"', table.unpack(argv) }, { stdout = "null" })
  local deadline = sys.monotonic() + 20
  while not sys.stat(folder .. "/ports") do
    assert(sys.monotonic() < deadline and not process:wait(0.02), "the server did not start")
  end
  local ports = {}
  for port in sys.read_file(folder .. "/ports"):gmatch("%d+") do
    ports[#ports + 1] = port
  end
  return { url = "http://127.0.0.1:" .. ports[1], silent_url = "http://127.0.0.1:" .. ports[2],
    tls_url = "https://127.0.0.1:" .. ports[3], silent_tls_url = "https://127.0.0.1:" .. ports[2],
    ca_file = certificate,
    stop = function()
      process:kill()
      process:close()
    end }
end

return M
