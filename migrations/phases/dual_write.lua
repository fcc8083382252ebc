-- Phase dual_write: Postgres is written first, and Notion follows through the outbox. Reads in
-- Postgres are compared with Notion's.
--
-- Copy this file into the migrations/phases/ folder of your workspace to change what the phase
-- asks for and does; docs/phases.md lists the gates and steps.
local phases = require "ligase.sync.phases"

return phases.define {
  name = "dual_write",

  check = function(gate)
    gate:notion()
    gate:taken_over()
    gate:dead()
  end,

  enter = function(change)
    change:take_over() -- what was written in Notion since the pages were taken over
    change:tell_notion() -- the pages get ligase's ids
  end,

  verify = function(gate)
    gate:nothing_lost()
  end,

  -- Back to notion_primary: what Postgres learned goes to Notion first.
  leave = function(change)
    change:tell_notion()
    change:deliver()
    change:compare()
  end,
}
