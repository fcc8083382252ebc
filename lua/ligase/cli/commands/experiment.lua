--- `ligase experiment`: experiments, by hand.
local entity_command = require "ligase.cli.entity_command"

return entity_command.command("experiment", {
  description = "Makes, changes, lists, shows and deletes experiments: what datasets were measured in. Many at once "
    .. "come from a file: ligase ingest --recipe experiments FILE.",
  example = [[
  ligase experiment create 'Mouse 7' --program ALS --type in_vivo --matrix plasma
  ligase experiment update 'Mouse 7' --sample-groups 'case=m1,m2; control=m3,m4'
  ligase experiment list --program ALS
  ligase experiment show 'Mouse 7'
  ligase experiment delete 'Mouse 7']],
})
