--- GNPS' library search: names of spectra without any quantity, so that it is refused, and
--- not taken for a matrix of scores.
local errors = require "ligase.base.errors"
local formats = require "ligase.omics.formats"

return formats.register {
  name = "gnps_library",
  title = "GNPS library search result",
  source = "Wang et al. 2016, doi:10.1038/nbt.3597; GNPS documentation, Library search",
  omics = { "metabolomics" },
  recognise = function(look)
    if look:has("SpectrumID", "Compound_Name", "LibraryName", "MQScore", "SharedPeaks") then
      return 0.97, "SpectrumID, Compound_Name, MQScore and SharedPeaks"
    end
  end,
  place = function(look)
    errors.raise { kind = "input", code = "no_measurements", file = look.shown, line = 1,
      message = "this is GNPS' list of what spectra were identified as, and holds no measurements",
      hint = "Give the table of quantities that belongs to it, or read it anyway with --format wide" }
  end,
}
