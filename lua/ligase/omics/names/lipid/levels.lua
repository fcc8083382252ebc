--- How much a lipid's name says, from least to most (Liebisch et al. 2020, J Lipid Res 61:1539).
return {
  "category", "class", "species", "molecular species", "sn-position", "structure defined",
  "full structure", "complete structure",
}
