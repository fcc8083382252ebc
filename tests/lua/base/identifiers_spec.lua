local identifiers = require "ligase.base.identifiers"

local function accepts(check, ...)
  for _, word in ipairs { ... } do
    assert.is_nil((check(word)), word)
  end
end

local function refuses(check, ...)
  for _, word in ipairs { ... } do
    assert.is_string((check(word)), word)
  end
end

describe("an identifier of a compound", function()
  it("that is an InChIKey has its form", function()
    accepts(identifiers.check_inchi_key, "BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "RYYVLZVUVIJVGH-UHFFFAOYSA-N",
      "WQZGKKKJIJFFOK-GASJEMHNSA-N", "XLYOFNOQVPJJNP-UHFFFAOYNA-M")
    refuses(identifiers.check_inchi_key, "", "BSYNRYMUTXBXSQ", "BSYNRYMUTXBXSQ-UHFFFAOYSA",
      "BSYNRYMUTXBXS-UHFFFAOYSA-N", "BSYNRYMUTXBXSQ-UHFFFAOYXA-N", "BSYNRYMUTXBXSQ-UHFFFAOYSA-NN",
      "BSYNRYMUTXBXS1-UHFFFAOYSA-N")
    local _, hint = identifiers.check_inchi_key "bsynrymutxbxsq-uhfffaoysa-n"
    assert.equal("Write: BSYNRYMUTXBXSQ-UHFFFAOYSA-N", hint)
  end)

  it("that is a CAS number has the right check digit", function()
    -- aspirin, caffeine, water, glucose, sphingosine, cholesterol, DMSO
    accepts(identifiers.check_cas_number, "50-78-2", "58-08-2", "7732-18-5", "50-99-7", "123-78-4", "57-88-5",
      "67-68-5")
    refuses(identifiers.check_cas_number, "50-78-3", "7732-81-5", "050-78-2", "5-78-2",
      "50-7-2", "50782", "12345678-12-1")
    assert.matches("after 50%-78 comes 2, not 3", (identifiers.check_cas_number "50-78-3"))
  end)

  it("that is a SMILES has closed brackets and no blanks", function()
    accepts(identifiers.check_smiles, "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "C/C=C\\C", "N[C@@H](C)C(=O)O",
      "C%12CCCC%12", "*")
    refuses(identifiers.check_smiles, "CC(=O", "CC)O", "C[N", "C(C]", "CC O", "CCÖ", "123")
  end)

  it("that is of ChEMBL or an InChI begins as it should", function()
    accepts(identifiers.check_chembl_id, "CHEMBL25")
    refuses(identifiers.check_chembl_id, "chembl25", "CHEMBL", "CHEMBL025", "25")
    accepts(identifiers.check_inchi, "InChI=1S/H2O/h1H2")
    refuses(identifiers.check_inchi, "1S/H2O/h1H2", "InChI=1S/H2O h1H2")
  end)
end)
