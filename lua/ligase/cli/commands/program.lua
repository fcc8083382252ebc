--- `ligase program`: programs, by hand.
local entity_command = require "ligase.cli.entity_command"

return entity_command.command("program", {
  description = "Makes, changes, lists, shows and deletes programs: the lines of research that experiments, datasets, "
    .. "signatures and compounds belong to. Many at once come from a file: ligase ingest --recipe programs FILE.",
  example = [[
  ligase program create FTD --disease 'FTD; ALS' --description 'Frontal lobe'
  ligase program update FTD --external-id benchling=prj_17
  ligase program list
  ligase program show FTD
  ligase program delete FTD]],
})
