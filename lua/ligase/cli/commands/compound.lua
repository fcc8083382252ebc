--- `ligase compound`: compounds, by hand.
local entity_command = require "ligase.cli.entity_command"

return entity_command.command("compound", {
  description = "Makes, changes, lists, shows and deletes compounds. A compound has the lab's own code, and a name, "
    .. "SMILES, InChIKey, CAS, ChEMBL and PubChem ids, whose form and check digits are checked. Many at once come from "
    .. "a file: ligase ingest --recipe compounds FILE.",
  example = [[
  ligase compound create C-0042 --name aspirin --cas 50-78-2 --pubchem 2244
  ligase compound update C-0042 --program ALS --attribute vendor=Acme
  ligase compound list --program ALS --format csv
  ligase compound show 50-78-2
  ligase compound delete C-0042]],
})
