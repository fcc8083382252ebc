-- Phase notion_primary: Notion is written and read; Postgres stays untouched.
--
-- Copy this file into the migrations/phases/ folder of your workspace to change what the phase
-- asks for and does; docs/phases.md lists the gates and steps.
local phases = require "ligase.sync.phases"

return phases.define {
  name = "notion_primary",

  -- It is the first one: a lab comes here by going back, and what Postgres knows is told by the
  -- phase that is left.
  check = function(gate)
    gate:notion()
  end,

  enter = function() end,

  verify = function(gate)
    gate:nothing_lost()
  end,

  leave = function() end,
}
