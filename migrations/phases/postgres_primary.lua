-- Phase postgres_primary: Postgres is written and read. Pages in Notion follow through the outbox
-- while ENABLE_NOTION_SYNC is on; people keep reading there.
--
-- Copy this file into the migrations/phases/ folder of your workspace to change what the phase
-- asks for and does; docs/phases.md lists the gates and steps.
local phases = require "ligase.sync.phases"

return phases.define {
  name = "postgres_primary",

  check = function(gate)
    gate:notion()
    gate:outbox()
    gate:dead()
    gate:untold()
    gate:counterparts()
    gate:drift { checks = 3 }
    gate:parity { sample = 30 }
    gate:pipelines()
  end,

  enter = function() end,

  verify = function(gate)
    gate:nothing_lost()
  end,

  -- Back to dual_write: what Notion was not told of meanwhile is told.
  leave = function(change)
    change:tell_notion()
    change:deliver()
    change:compare()
  end,
}
