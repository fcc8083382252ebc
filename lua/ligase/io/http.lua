local http = require "http"
return setmetatable({}, {__index = http})
