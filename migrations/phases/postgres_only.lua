-- Phase postgres_only: Postgres is written and read. Notion is told nothing any more; its pages
-- stay as they are.
--
-- Copy this file into the migrations/phases/ folder of your workspace to change what the phase
-- asks for and does; docs/phases.md lists the gates and steps.
local phases = require "ligase.sync.phases"

return phases.define {
  name = "postgres_only",

  check = function(gate)
    gate:outbox()
    gate:dead()
    gate:untold()
    gate:counterparts()
    gate:drift { checks = 3 }
    gate:pipelines()
  end,

  enter = function() end,

  verify = function(gate)
    gate:nothing_lost()
  end,

  -- Back to postgres_primary: Notion learns what it was not told of.
  leave = function(change)
    change:tell_notion()
    change:deliver()
    change:compare()
  end,
}
