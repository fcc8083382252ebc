--- `ligase dataset`: what is said of datasets, by hand.
local entity_command = require "ligase.cli.entity_command"

return entity_command.command("dataset", {
  description = "Changes what is said of a dataset: its programs and experiments, organism, disease, matrix, ...; or "
    .. "deletes it. Its data comes with ligase ingest, and is shown by ligase show.",
  example = [[
  ligase dataset update plasma_lipids --program ALS --program Ageing --create
  ligase dataset update plasma_lipids --experiment 'Mouse 8' --create
  ligase dataset list --program ALS
  ligase dataset delete day_1 --with-data]],
  has_data = true,
})
