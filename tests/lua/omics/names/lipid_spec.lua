--- Lipid names: what is read as what, what stays as it stands and why.
local elements = require "ligase.omics.names.lipid.elements"
local lipid = require "ligase.omics.names.lipid"
local structures = require "ligase.omics.names.lipid.structure"

--- raw, canonical name, level, what is set aside.
local READ = {
  -- the shorthand itself
  { "PC 34:1", "PC 34:1", "species" },
  { "PC(34:1)", "PC 34:1", "species" },
  { "PC (34:1)", "PC 34:1", "species" },
  { "PC  34:1", "PC 34:1", "species" },
  { " PC 34:1\t", "PC 34:1", "species" },
  { "PC 34:1/0:0", "LPC 34:1/0:0", "sn-position" },
  { "\u{A0}PC 34:1\u{A0}", "PC 34:1", "species" },
  { "\u{FEFF}PC 34:1", "PC 34:1", "species" },
  { "PC\u{A0}34:1", "PC 34:1", "species" },
  { "PC\u{202F}34:1", "PC 34:1", "species" },
  { "PC 34:1\u{A0}[M+H]+", "PC 34:1", "species", { adduct = "[M+H]+" } },
  { "PC 16:0_18:1", "PC 16:0_18:1", "molecular species" },
  { "PC 18:1_16:0", "PC 18:1_16:0", "molecular species" },
  { "PC(16:0_18:1)", "PC 16:0_18:1", "molecular species" },
  { "PC 16:0/18:1", "PC 16:0/18:1", "sn-position" },
  { "PC 16:0/18:1(9)", "PC 16:0/18:1(9)", "structure defined" },
  { "PC 16:0/18:1(9Z)", "PC 16:0/18:1(9Z)", "full structure" },
  { "PC(16:0/18:1(9Z))", "PC 16:0/18:1(9Z)", "full structure" },
  { "PC 16:0_18:1(9Z)", "PC 16:0_18:1", "molecular species", { detail = "16:0_18:1(9Z)" } },
  { "TG 52:2", "TG 52:2", "species" },
  { "TG 16:0_18:1_18:1", "TG 16:0_18:1_18:1", "molecular species" },
  { "TG(16:0/18:1/18:1)", "TG 16:0/18:1/18:1", "sn-position" },
  { "DG 16:0_18:1", "DG 16:0_18:1", "molecular species" },
  { "DG 16:0/18:1/0:0", "DG 16:0/18:1/0:0", "sn-position" },
  { "DG(16:0/18:1)", "DG 16:0_18:1", "molecular species", { detail = "16:0/18:1" } },
  { "LPC 18:1", "LPC 18:1", "species" },
  { "LPC 18:1/0:0", "LPC 18:1/0:0", "sn-position" },
  { "LPC 18:1_0:0", "LPC 18:1", "species" },
  { "PC(18:1(9Z)/0:0)", "LPC 18:1(9Z)/0:0", "full structure" },
  { "CE 18:2", "CE 18:2", "species" },
  { "FA 20:4", "FA 20:4", "species" },
  { "FA 18:1(9Z);12OH", "FA 18:1(9Z);12OH", "full structure" },
  { "FA 18:1;OH", "FA 18:1;O", "species", { detail = "18:1;OH" } },
  { "CL 72:8", "CL 72:8", "species" },
  { "CL 18:2_18:2_18:2_18:2", "CL 18:2_18:2_18:2_18:2", "molecular species" },
  { "CL(1'-[16:0/18:1],3'-[18:1/18:2])", "CL 16:0/18:1/18:1/18:2", "sn-position" },
  { "BMP 18:1_18:1", "BMP 18:1_18:1", "molecular species" },
  { "PC O-34:1", "PC O-34:1", "species" },
  { "PC P-34:1", "PC P-34:1", "species" },
  { "PC O-16:0/18:1", "PC O-16:0/18:1", "sn-position" },
  { "PE P-16:0/18:1", "PE P-16:0/18:1", "sn-position" },
  { "PE(P-16:0/18:1)", "PE P-16:0/18:1", "sn-position" },
  { "PC dO-34:1", "PC dO-34:1", "species" },
  { "PC 34:1;O", "PC 34:1;O", "species" },
  { "PIP2[4',5'](16:0/18:1)", "PIP2(4',5') 16:0/18:1", "sn-position" },
  { "PE-N(FA 16:0) 18:1(9Z)/18:1(9Z)", "PE-N(FA 16:0) 18:1(9Z)/18:1(9Z)", "full structure" },
  { "ST 27:1;O", "ST 27:1;O", "species" },
  { "SE 27:1/18:2", "SE 27:1/18:2", "species" },
  -- sphingolipids: as many hydroxyl groups as are said
  { "SM 34:1;O2", "SM 34:1;O2", "species" },
  { "SM 34:1", "SM 34:1", "species" },
  { "SM 24:1;O2", "SM 24:1;O2", "species" },
  { "CER 16:0", "Cer 16:0", "species" },
  { "Cer 18:1;O2/16:0", "Cer 18:1;O2/16:0", "sn-position" },
  { "Cer(d18:1/16:0)", "Cer 18:1;O2/16:0", "sn-position" },
  { "Cer(d18:1(4E)/16:0)", "Cer 18:1(4E);1OH,3OH/16:0", "full structure", { assumed = "hydroxyl groups at 1,3" } },
  { "Cer(t18:0/24:0(2OH))", "Cer 18:0;1OH,3OH,4OH/24:0;2OH", "full structure",
    { assumed = "hydroxyl groups at 1,3,4" } },
  { "Cer(m18:1(4E)/18:0)", "Cer 18:1(4E);3OH/18:0", "full structure", { assumed = "hydroxyl group at 3" } },
  { "Cer(d18:1_16:0)", "Cer 18:1;O2_16:0", "molecular species" },
  { "SM(d18:1(4E)/16:0)", "SM(1) 18:1(4E);3OH/16:0", "full structure", { assumed = "hydroxyl groups at 1,3" } },
  { "SM 18:1/16:0", "SM 18:1/16:0", "sn-position" },
  { "Cer 18:1;2O/16:0;O", "Cer 18:1;O2/16:0;O", "sn-position" },
  { "HexCer 18:1;O2/24:1", "HexCer 18:1;O2/24:1", "sn-position" },
  { "Gal-Glc-Cer(1) 18:1(4E);3OH/16:0", "Gal-Glc-Cer(1) 18:1(4E);3OH/16:0", "full structure" },
  { "GlcA-IPC(1) 18:1(8E);1OH,3OH/24:0", "GlcA-IPC(1) 18:1(8E);3OH/24:0", "full structure" },
  { "GM3(d18:1/16:0)", "GM3 18:1;O2/16:0", "sn-position" },
  { "1-O-stearoyl-Cer(d18:1/16:0)", "ACer(FA 18:0) 18:1;O2/16:0", "sn-position" },
  { "SPB 18:1;O2", "SPB 18:1;O2", "species" },
  { "Sphinganine", "SPB 18:0;1OH,3OH", "full structure" },
  { "C17 sphingosine-1-phosphate", "SPBP 17:1;O2", "species", { detail = "C17 sphingosine-1-phosphate" } },
  -- dialects
  { "PC 16:0-18:1", "PC 16:0_18:1", "molecular species" },
  { "DAG 16:0-18:1 [M+NH4]1+", "DG 16:0_18:1", "molecular species", { adduct = "[M+NH4]1+" } },
  { "Cer 18:1;2/24:0;1", "Cer 18:1;O2/24:0;O", "sn-position" },
  { "PC O 16:0a/18:1", "PC O-16:0/18:1", "sn-position" },
  { "PE O-18:1p/20:4", "PE P-18:0/20:4", "sn-position" },
  { "PE(16:0p/20:4)", "PE P-16:0/20:4", "sn-position" },
  { "PE(16:0e_20:4)", "PE O-16:0_20:4", "molecular species" },
  { "PE O-p 36:2", "PE P-36:1", "species" },
  { "PlsEtn(16:0p_18:1)", "PE P-16:0_18:1", "molecular species" },
  { "plasmenylPE 16:0/20:4", "PE P-16:0/20:4", "sn-position" },
  { "P-PE 38:4", "PE P-38:4", "species" },
  { "PC aa C34:1", "PC 34:1", "species" },
  { "PC ae C36:2", "PC O-36:2", "species" },
  { "lysoPC a C18:0", "LPC 18:0", "species" },
  { "hex_cer_24_0", "HexCer 24:0", "species" },
  { "GPCho(38:4)", "PC 38:4", "species" },
  { "PC(o-16:0/18:0)", "PC O-16:0/18:0", "sn-position" },
  { "MLCL(16:0/16:0/18:1/0:0)", "LCL 16:0/16:0/18:1/0:0", "sn-position" },
  { "PE(17:0-15me/16:0)", "PE 16:0;15Me/16:0", "full structure" },
  { "PC(16:0/18:0(9Cp))", "PC 16:0/19:0;[9-11cy3:0]", "full structure" },
  { "PC(16:0/18:1<{9Z},OH{12}>)", "PC 16:0/18:1(9Z);12OH", "full structure" },
  { "SPB 18:1(4E);2(1OH,3OH)", "SPB 18:1(4E);1OH,3OH", "full structure" },
  { "FA 20:4_OH2", "FA 20:4;O2", "species", { detail = "20:4_OH2" } },
  { "TG(16:0_18:1_18:2[2xOH])", "TG 16:0_18:1_18:2;O2", "molecular species", { detail = "16:0_18:1_18:2[2xOH]" } },
  { "TG(18:1_18:2_9:0<CHO@C9>)", "TG 18:1_18:2_9:1;O", "molecular species", { detail = "18:1_18:2_9:0<CHO@C9>" } },
  { "PC(34:1) + O", "PC 34:1;O", "species" },
  { "20:2(7Z,14Z)", "FA 20:2(7Z,14Z)", "full structure" },
  { "12:0 Cholesteryl ester", "CE 12:0", "species" },
  { "SiE(18:1)", "SE 29:1/18:1", "species", { detail = "SiE" } },
  { "18:2 Campesterol ester", "SE 28:1/18:2", "species", { detail = "Campesterol" } },
  { "RESORCINOL(15:0)", "RESORCINOL 15:0", "species" },
  { "Lauric acid", "FA 12:0", "species" },
  { "oleate", "FA 18:1(9Z)", "full structure" },
  { "cholesterol", "ST 27:1;O", "species", { detail = "cholesterol" } },
  { "12(S)-HETE", "12S-HETE", "full structure" },
  { "15-oxoETE", "15-Oxo-ETE", "full structure" },
  { "9,10-EpOME", "9(10)-EpOME", "full structure" },
  { "12-HOME", "12-HOME", "species" },
  { "RvD1", "Resolvin D1", "species" },
  -- systematic names
  { "9Z,12Z-octadecadienoic acid", "FA 18:2(9Z,12Z)", "full structure" },
  { "(9Z)-octadec-9-enoic acid", "FA 18:1(9Z)", "full structure" },
  { "13S-hydroxy-9Z,11E-octadecadienoic acid", "FA 18:2(9Z,11E);13OH", "full structure",
    { detail = "13S-hydroxy-9Z,11E-octadecadienoic acid" } },
  { "13-hydroxy-9,11-octadecadienoic acid", "FA 18:2(9,11);OH", "structure defined",
    { detail = "13-hydroxy-9,11-octadecadienoic acid" } },
  { "9,10-epoxy-octadecanoic acid", "FA 18:0;9Ep", "full structure" },
  { "2-eicosyl-3-hydroxy-pentacontanoic acid", "FA 50:0;2(20:0);3OH", "full structure" },
  { "Hexadecanedioic acid", "FA 15:0;15COOH", "full structure" },
  { "9-(9Z-hexadecenoyloxy)-octadecanoic acid", "FAHFA 18:0;9O(FA 16:1(9Z))", "full structure" },
  { "methyl 9Z-octadecenoate", "WE 1:0/18:1(9Z)", "full structure" },
  { "8Z-Tetradecenyl acetate", "WE 14:1(8Z)/2:0", "full structure" },
  { "3S-hydroxyhexacosanoyl-CoA", "CoA 26:0;3OH", "full structure", { detail = "3S-hydroxyhexacosanoyl-CoA" } },
  { "N-(Tricosanoyl)-ethanolamine", "NAE 23:0", "species" },
  { "2E-nonenal", "FAL 9:1(2E)", "full structure" },
  { "tricosane-1,2-diol", "FOH 23:0;2OH", "full structure" },
  { "13-Methyltritriacontane", "HC 33:0;13Me", "full structure" },
  -- set aside
  { "PC 34:1 [M+H]+", "PC 34:1", "species", { adduct = "[M+H]+" } },
  { "PC(16:0/18:1)[M-H]-", "PC 16:0/18:1", "sn-position", { adduct = "[M-H]-" } },
  { "TG 52:2 [M+NH4]+", "TG 52:2", "species", { adduct = "[M+NH4]+" } },
  { "PC 34:1_[M+H]+", "PC 34:1", "species", { adduct = "[M+H]+" } },
  { "PC 34:1 [M-2H]2-", "PC 34:1", "species", { adduct = "[M-2H]2-" } },
  { "TG 52:2 [M+ACN+H]+", "TG 52:2", "species", { adduct = "[M+ACN+H]+" } },
  { "Cer 18:1;O2/16:0 [2M+Na-2H]-", "Cer 18:1;O2/16:0", "sn-position", { adduct = "[2M+Na-2H]-" } },
  { "AcCa(16:0)+H", "CAR 16:0", "species", { adduct = "[M+H]+" } },
  { "PC 34:1+HCOO", "PC 34:1", "species", { adduct = "[M+HCOO]-" } },
  { "18:1-d9 SM", "SM 18:1", "species", { label = "d9" } },
  { "18:1(d7) Lyso PE", "LPE 18:1", "species", { label = "d7" } },
  { "15:0-18:1(d7)-15:0 TAG", "TG 15:0_18:1_15:0", "molecular species", { label = "d7" } },
  { "TG(16:0/18:1/16:0) (d5)", "TG 16:0/18:1/16:0", "sn-position", { label = "d5" } },
  { "CL 18:1-18:1-18:1(+[13]C18)-18:1", "CL 18:1_18:1_18:1_18:1", "molecular species", { label = "+[13]C18" } },
  { "PGD2-d4", "PGD2", "full structure", { label = "d4" } },
  { "TG(16:0/16:0/18:1)[iso3]", "TG 16:0/16:0/18:1", "sn-position", { isomers = "iso3" } },
  { "Cer[NS](d18:1/16:0)", "Cer 18:1;O2/16:0", "sn-position", { subclass = "NS" } },
  { "no MS2: PC 34:1", "PC 34:1", "species", { evidence = "no MS2" } },
  -- a sum and a part of it
  { "TAG48:1-FA16:0", "TG 48:1", "species", { detail = "FA 16:0" } },
  { "TAG 48:1-FA 16:0", "TG 48:1", "species", { detail = "FA 16:0" } },
  { "TAG48:1-FA16:0+NH4", "TG 48:1", "species", { adduct = "[M+NH4]+", detail = "FA 16:0" } },
  { "TG(O-50:1) [NL-15:0]", "TG O-50:1", "species", { detail = "NL 15:0" } },
  { "TG(48:1) [SIM]", "TG 48:1", "species", { evidence = "SIM" } },
  { "TG 16:0_36:2", "TG 52:2", "species", { detail = "16:0_36:2" } },
  { "TG(16:0_36:2)", "TG 52:2", "species", { detail = "16:0_36:2" } },
  { "TG P-16:0_36:2", "TG O-52:3", "species", { detail = "P-16:0_36:2" } },
  { "CL 36:3_36:4", "CL 72:7", "species", { detail = "36:3_36:4" } },
  { "CL 18:2_18:2_36:4", "CL 72:8", "species", { detail = "18:2_18:2_36:4" } },
  { "TG 16:0_28:0_18:1", "TG 16:0_28:0_18:1", "molecular species" },
  { "PC(16:0_18:1) + O", "PC 34:1;O", "species", { detail = "16:0_18:1 + O" } },
  { "PE(P-16:0/18:1)<OH>", "PE O-34:2;O", "species", { detail = "P-16:0/18:1<OH>" } },
  { "DG-O(14:0_18:2)", "DG O-32:2", "species", { detail = "14:0_18:2" } },
  { "PC-O 34:1", "PC O-34:1", "species" },
  { "Cer 34:0;O3(FA 15:0)", "Cer 49:1;O4", "species", { detail = "34:0;O3(FA 15:0)" } },
  { "FAHFA 18:1/18:1;O", "FAHFA 36:3;O2", "species", { detail = "18:1;O(FA 18:1)" } },
  { "FAHFA 4:0/22:0;O", "FAHFA 22:0;O(FA 4:0)", "structure defined" },
  -- groups and places told by a suffix
  { "CAR 5:0-DC", "CAR 5:1;O2", "species", { detail = "5:0-DC" } },
  { "CAR DC5:0", "CAR 5:1;O2", "species", { detail = "5:0-DC" } },
  { "C5-DC carnitine", "CAR 5:1;O2", "species", { detail = "5-DC" } },
  { "C14:1-OH acylcarnitine", "CAR 14:1;O", "species", { detail = "14:1-OH" } },
  { "C16 carnitine", "CAR 16:0", "species" },
  { "LPC 18:1 [sn1]", "LPC 18:1/0:0", "sn-position" },
  { "LPC 18:1-SN2", "LPC 0:0/18:1", "sn-position" },
  { "PIP2<2PO4{4,5}>(18:0/20:4)", "PIP2(4',5') 18:0/20:4", "sn-position" },
  { "PC(2O-34:1)", "PC dO-34:1", "species" },
  { "FA 20:4 (5Z,8Z,11Z,13E);15OH", "FA 20:4(5Z,8Z,11Z,13E);15OH", "full structure" },
  -- what the canonical name cannot say at its level is set aside as it was written
  { "LPC 18:1(9Z)", "LPC 18:1", "species", { detail = "18:1(9Z)" } },
  { "MG 18:1(9Z)", "MG 18:1", "species", { detail = "18:1(9Z)" } },
  { "Cer(d18:1(4E)/18:1)", "Cer 18:1;O2/18:1", "sn-position", { detail = "d18:1(4E)/18:1" } },
  { "Cer[NS](d18:1(4E)/18:1)", "Cer 18:1;O2/18:1", "sn-position", { detail = "d18:1(4E)/18:1", subclass = "NS" } },
  { "PC(16:0/18:0(12OH[R]))", "PC 16:0/18:0;12OH", "full structure", { detail = "16:0/18:0(12OH[R])" } },
  { "PC(16:0/18:2(9Z,12))", "PC 16:0/18:2(9,12)", "structure defined", { detail = "16:0/18:2(9Z,12)" } },
  { "PC(16:0/9:0(CHO))", "PC 16:0/9:0;oxo", "structure defined", { detail = "16:0/9:0(CHO)" } },
  { "PC(16:0_18:1(9Z)) [M+H]+", "PC 16:0_18:1", "molecular species", { adduct = "[M+H]+", detail = "16:0_18:1(9Z)" } },
  { "Gal-Glc-Cer(d18:1/16:0)", "Hex2Cer 18:1;O2/16:0", "sn-position", { detail = "Gal-Glc-Cer d18:1/16:0" } },
  { "Sulfatide(d18:1/16:0)", "SHexCer 18:1;O2/16:0", "sn-position", { detail = "Sulfatide d18:1/16:0" } },
  { "LPIP2[4',5'](16:0)", "LPIP2 16:0", "species", { detail = "LPIP2[4',5'] 16:0" } },
  { "ACer(FA 16:0) 34:1;O2", "ACer(FA) 50:1;O2", "species", { detail = "ACer(FA 16:0) 34:1;O2" } },
  { "FA 20:4 +2OH", "FA 20:4;O2", "species", { detail = "2OH" } },
  { "Sphingosine", "SPB 18:1;O2", "species", { detail = "Sphingosine" } },
  -- d, t and m say how many hydroxyl groups; their places follow only where all else is placed
  { "Cer(t18:0/16:0)", "Cer 18:0;1OH,3OH,4OH/16:0", "full structure", { assumed = "hydroxyl groups at 1,3,4" } },
  { "Cer(d18:0/16:0)", "Cer 18:0;1OH,3OH/16:0", "full structure", { assumed = "hydroxyl groups at 1,3" } },
  { "Cer(t18:0/24:1)", "Cer 18:0;O3/24:1", "sn-position" },
  { "Cer(t18:1/16:0)", "Cer 18:1;O3/16:0", "sn-position" },
  { "Cer(t34:0)", "Cer 34:0;O3", "species" },
  -- one impossible place among others that fit: the chain is read, its places are not
  { "PC(16:0/22:6(54Z,7Z,10Z,13Z,16Z,19Z))", "PC 16:0/22:6", "sn-position",
    { detail = "16:0/22:6(54Z,7Z,10Z,13Z,16Z,19Z)", doubt = "a double bond at 54 in a chain of 22 carbons" } },
  -- whole classes
  { "PC", "PC", "class" },
  { "Glycerophospholipids", "Glycerophospholipids", "category" },
}

--- What stays as it stands, because reading it would say more or something else.
local VERBATIM = {
  "PC(d18:1/34:1)", "pc 34:1", "Pc(34:1)", "PC-34:1", "PC 34", "PC 34:", "PC :1", "34:1:2", "PC 34:1:2", "PC 0:0",
  "PC 16:9", "PC 200:1", "PC 16:0_18:1_20:4", "PC 16:0_18:1/20:4", "PC (34:1", "PC 34:1)", "PC ((34:1))",
  "PC 34:1 + PE 36:2", "PC 34:1; PE 36:2", "PC 34:1|PC 16:0_18:1", "TG 16:0_18:1", "TG 16:0/36:2", "Asdf",
  "PC 34:1*", "PC 34:1 (IS)", "PC 34:1_2", "PC 34.1", "PC 34:1;", "NAD+", "cAMP", "[M+H]+", "(+)-catechin",
  "PC 34:1,5", "PCO-34:1", "PC o-34:1", "PC 34:1\nPC 36:2", "PC O-16:0_O-18:1_18:0",
  "Lysophosphatidylcholine 18:1", "-", "?", "\xFF\xFE", "0", "PC 9999999999999999999999:1", "PC 16:0/18:2(9Z)",
  "18:1a", "C16:0", "2:1", "10:30", "LPA 16:1p", "LPS 12:0a", "Cer(O-18:1/16:0)", "FA O-16:0", "PE(P-16:0", "TG(",
  "PET 16:0-18:1", "DG  16:0-16:1", "GB3 18:1;2-24:1;12", "CL 18:1/18:1-18:1-18:1", "LCB 17:1;2/6:0", "xx2-34",
  "heptan-4-ol", "octadecanol", "hydroxy-octadecanoic acid", "2,3-hydroxy-octadecanoic acid", "octadecenoic acid",
  "19Z-octadecenoic acid", "9,11-epoxyoctadecanoic acid", "25-hydroxy-octadecanoic acid", "9Z-octadecanoic acid",
  "9Z,12Z-octadecenoic acid", "cyclohexanoic acid", "methyl", "hexane dione", "phytosphingosine 1",
  "16:00", "20:10", "PC 16:00/18:1",
  "PC(16:0/9:0(COOH))", "IL-6", "TP53", "glucose", "HMDB0000564", "C40H80NO8P", "1:1", "16:0", "PC 16:0(d7",
}

describe("a lipid name", function()
  for _, case in ipairs(READ) do
    it("is read: " .. case[1], function()
      local reading = lipid.read(case[1])
      assert.equal(case[2], reading.name)
      assert.equal(case[3], reading.level)
      assert.is_not.equal("verbatim", reading.rule)
      assert.same(case[4], reading.aside)
      assert.is_nil(reading.reason)
    end)

    it("is canonical once read: " .. case[2], function()
      local again = lipid.read(case[2])
      assert.equal(case[2], again.name)
      assert.equal(case[3], again.level)
      assert.is_nil(again.aside)
    end)
  end

  for _, raw in ipairs(VERBATIM) do
    it("stays as it stands, with a reason: " .. raw:gsub("[^%g ]", "?"), function()
      local reading = lipid.read(raw)
      if raw == "16:0" then -- a fatty acid; its level is that of a sum
        assert.same({ name = "FA 16:0", level = "species", rule = "lipid.shorthand" }, reading)
        return
      end
      assert.equal("verbatim", reading.rule)
      assert.equal(raw, reading.name)
      assert.is_nil(reading.level)
      assert.is_nil(reading.aside)
      assert.is_truthy(reading.reason:find "%w")
      assert.is_nil(reading.reason:find "%.$")
    end)
  end

  it("that means different lipids in different notations stays, with the candidates", function()
    for raw, candidates in pairs {
      ["LPA 16:1p"] = { "LPA P-16:1", "LPA P-16:0" }, ["LPS 12:0a"] = { "LPS O-12:0", "LPS 12:0" },
      ["C16:0"] = { "FA 16:0", "CAR 16:0" },
      ["C5-DC"] = { "FA 5:1;O2", "CAR 5:1;O2" }, ["PE(18:1p/20:4)"] = { "PE P-18:1/20:4", "PE P-18:0/20:4" },
    } do
      local reading = lipid.read(raw)
      assert.equal("verbatim", reading.rule)
      assert.same(candidates, reading.candidates)
    end
    assert.is_nil(lipid.read("18:1a").candidates)
    assert.is_nil(lipid.read("PC 34").candidates)
  end)

  it("is none in a blank cell", function()
    assert.is_nil(lipid.read "")
    assert.is_nil(lipid.read " ")
    assert.is_nil(lipid.read " \t ")
  end)

  it("never turns a sum into chains, nor the order of chains into a position", function()
    assert.not_equal(lipid.read("PC 34:1").name, lipid.read("PC 16:0_18:1").name)
    assert.not_equal(lipid.read("PC 16:0_18:1").name, lipid.read("PC 16:0/18:1").name)
    assert.not_equal(lipid.read("PC O-34:1").name, lipid.read("PC 34:1").name)
    assert.not_equal(lipid.read("PC P-34:1").name, lipid.read("PC O-34:1").name)
    assert.not_equal(lipid.read("LPC 18:1").name, lipid.read("PC 18:1").name)
    assert.not_equal(lipid.read("SM 34:1").name, lipid.read("SM 34:1;O2").name)
  end)

  it("means the base of a panel only where that is said, and then says so", function()
    local panel = { panel_sphingoid_base = true }
    local reading = lipid.read("CER 16:0", panel)
    assert.equal("Cer 18:1;O2/16:0", reading.name)
    assert.equal("sn-position", reading.level)
    assert.same({ assumed = "sphingoid base 18:1;O2" }, reading.aside)
    assert.equal("HexCer 18:0;O2/24:0", lipid.read("hex_cer_24_0", { panel_sphingoid_base = "18:0;O2" }).name)
    for _, raw in ipairs { "SM 34:1", "Cer 34:1;O2", "Cer(d18:1/16:0)", "Cer 16:0;O2", "PC 16:0", "SPB 18:1" } do
      local plain, with = lipid.read(raw), lipid.read(raw, panel)
      assert.same(plain, with)
    end
  end)
end)

describe("a lipid's structure", function()
  local function at(name, level)
    return lipid.print(lipid.at_level(lipid.parse(name), level))
  end

  it("can be brought to every lower level", function()
    local name = "PE P-16:0/18:1(9Z);12OH"
    assert.equal("PE P-16:0/18:1(9);OH", at(name, "structure defined"))
    assert.equal("PE P-16:0/18:1;O", at(name, "sn-position"))
    assert.equal("PE P-16:0_18:1;O", at(name, "molecular species"))
    assert.equal("PE O-34:2;O", at(name, "species"))
    assert.equal("PE", at(name, "class"))
    assert.equal("Glycerophospholipids", at(name, "category"))
    assert.equal("TG 52:2", at("TG 16:0_18:1_18:1", "species"))
    assert.equal("TG dO-52:2", at("TG O-16:0_O-18:1_18:1", "species"))
    assert.equal("Cer 34:1;O2", at("Cer(d18:1(4E)/16:0)", "species"))
    assert.equal("Hex2Cer 18:1;O2/16:0", at("Gal-Glc-Cer(1) 18:1(4E);3OH/16:0", "sn-position"))
    assert.equal("FA 20:4;O", at("12S-HETE", "species"))
    assert.equal("FA 20:4(5Z,8Z,10E,14Z);12OH", lipid.print(lipid.parse "12S-HETE", "full structure"))
    assert.equal("PIP2 34:1", at("PIP2[3',5'](16:0/18:1)", "species"))
  end)

  it("cannot be brought to a higher level", function()
    local structure, reason = lipid.at_level(lipid.parse "PC 34:1", "molecular species")
    assert.is_nil(structure)
    assert.is_truthy(reason:find("species", 1, true))
    assert.is_nil(lipid.print(lipid.parse "PC 16:0_18:1", "sn-position"))
    assert.is_nil(lipid.print(lipid.parse "PC 34:1", "no such level"))
  end)

  it("contains what says more of the same", function()
    local function contains(a, b)
      return lipid.contains(lipid.parse(a), lipid.parse(b))
    end
    local chain = { "Glycerophospholipids", "PC", "PC 34:1", "PC 16:0_18:1", "PC 16:0/18:1", "PC 16:0/18:1(9)",
      "PC 16:0/18:1(9Z)" }
    for i, a in ipairs(chain) do
      for k, b in ipairs(chain) do
        assert.equal(i <= k, contains(a, b), a .. " and " .. b)
      end
    end
    assert.is_true(contains("PC 16:0_18:1", "PC 18:1_16:0"))
    assert.is_true(contains("PC 16:0_18:1", "PC 18:1/16:0"))
    assert.is_true(contains("SM 34:1", "SM 34:1;O2"))
    assert.is_true(contains("PE O-34:2", "PE P-16:0/18:1"))
    assert.is_true(contains("HexCer 18:1;O2/16:0", "GlcCer(d18:1/16:0)"))
    assert.is_true(contains("PIP 34:1", "PIP[4'](16:0/18:1)"))
    assert.is_true(contains("FA 20:4;O", "12S-HETE"))
    for _, pair in ipairs {
      { "PC 34:1", "PE 34:1" }, { "PC 34:1", "PC O-34:1" }, { "PC 34:1", "LPC 34:1" },
      { "PC 16:0/18:1", "PC 18:1/16:0" },
      { "PC 34:2", "PC 16:0_18:1" }, { "PC 17:0_17:1", "PC 16:0_18:1" }, { "SM 34:1;O3", "SM 34:1;O2" },
      { "PE P-34:1", "PE O-16:0/18:2" }, { "GalCer 18:1;O2/16:0", "GlcCer(d18:1/16:0)" },
      { "TG 16:0_16:0_18:1", "TG 16:0_18:1_18:1" }, { "Cer 34:1;O2", "Cer 16:0" },
    } do
      assert.is_false(contains(pair[1], pair[2]), pair[1] .. " and " .. pair[2])
    end
  end)

  --- Formulas and masses of the substances, worked out from their atoms by hand.
  it("gives class, category, formula and exact mass", function()
    for _, case in ipairs {
      { "PC 34:1", "PC", "GP", "C42H82NO8P", 759.57781 }, { "PC 16:0/18:1(9Z)", "PC", "GP", "C42H82NO8P", 759.57781 },
      { "PE P-16:0/18:1", "PE", "GP", "C39H76NO7P", 701.53594 }, { "TG 52:2", "TG", "GL", "C55H102O6", 858.76764 },
      { "SM 18:1;O2/16:0", "SM", "SP", "C39H79N2O6P", 702.56757 }, { "FA 16:0", "FA", "FA", "C16H32O2", 256.24023 },
      { "Cer 18:1;O2/16:0", "Cer", "SP", "C34H67NO3", 537.51210 }, { "CE 18:1", "CE", "ST", "C45H78O2", 650.60018 },
      { "ST 27:1;O", "ST", "ST", "C27H46O", 386.35487 }, { "SE 27:1/18:1", "SE", "ST", "C45H78O2", 650.60018 },
      { "CL 72:8", "CL", "GP", "C81H142O17P2", 1448.97223 }, { "12S-HETE", "FA", "FA", "C20H32O3", 320.23515 },
      { "PGE2", "FA", "FA", "C20H32O5", 352.22498 }, { "GM3 18:1;O2/16:0", "GM3", "SP", "C57H104N2O21", 1152.71316 },
      { "CAR 5:1;O2", "CAR", "FA", "C12H21NO6", 275.13689 },
      { "LTC4", "FA", "FA", "C30H47N3O9S", 625.30330 }, { "FA 16:0;2Br", "FA", "FA", "C16H31BrO2", 334.15074 },
      { "WE 16:0/18:1", "WE", "FA", "C34H66O2", 506.50628 },
      { "DG O-16:0/18:1/0:0", "DG", "GL", "C37H72O4", 580.54306 },
    } do
      local got = lipid.describe(case[1])
      assert.equal(case[2], got.class, case[1])
      assert.equal(case[3], got.category, case[1])
      assert.equal(case[4], got.formula, case[1])
      assert.is_true(math.abs(case[5] - got.mass) < 0.00001, ("%s: %.5f"):format(case[1], got.mass))
    end
  end)

  it("gives no formula where the name does not say it", function()
    for _, name in ipairs { "SM 34:1", "Cer 16:0", "PC", "Glycerophospholipids", "PAT16 16:0/16:0/16:0/16:0" } do
      local got = lipid.describe(name)
      assert.is_nil(got.formula, name)
      assert.is_nil(got.mass, name)
    end
    assert.is_nil(lipid.describe "no lipid")
  end)
end)

describe("the description of a plain name", function()
  it("is what the grammar says of it", function()
    local forms = { "%s %s%d:%d", "%s %s%d:%d_16:0", "%s %s%d:%d/16:0", "%s %s%d:%d_16:0_18:1", "%s %s%d:%d/16:0/18:1" }
    local compared = 0
    for _, class in ipairs { "PC", "LPC", "TG", "DG", "CL", "FA", "CE", "BMP" } do
      for _, prefix in ipairs { "", "O-", "P-" } do
        for carbons = 2, 40, 9 do
          for _, form in ipairs(forms) do
            local name = form:format(class, prefix, carbons, carbons > 9 and 2 or 0)
            local structure = lipid.read(name).rule ~= "verbatim" and lipid.parse(name)
            if structure then
              local atoms, described = structures.atoms(structure), lipid.describe(name)
              assert.equal(atoms and elements.formula(atoms) or nil, described.formula, name)
              assert.equal(structure.head.class.name, described.class, name)
              assert.equal(lipid.level(structure), described.level, name)
              compared = compared + 1
            end
          end
        end
      end
    end
    assert.is_true(compared > 150)
  end)
end)

describe("a name that cannot be", function()
  local REFUSED = {
    ["TAG48:1-FA50:0"] = "cannot hold", ["TG 48:1-FA18:2"] = "cannot hold", ["TG 16:0_80:2"] = "no sum of 2",
    ["TG 30:0_30:0"] = "no sum of 3", ["CL 36:2_36:2_18:1"] = "no sum of 3",
    ["DG 0:0_34:1"] = "34 carbons beside an empty place", ["PC 34:1_0:0"] = "34 carbons beside an empty place",
    ["DG 0:0/34:1"] = "34 carbons beside an empty place", ["TG 0:0_16:0_36:2"] = "36 carbons beside an empty place",
    ["TG 16:0_18:1"] = "none of these is long enough", ["CL 18:2_18:2_18:2"] = "none of these is long enough",
    ["PC 34:1 [M+Foo]+"] = "the adduct [M+Foo]+ is not understood: Foo is neither", ["PC 34:1 [M+H]2"] = "charge",
    ["PC 34:1 [M+12]+"] = "adduct", ["PC 34:1 [M+H+Xx2]+"] = "Xx2", ["PC 34:1 [M+-H]+"] = "gained or lost",
    ["TG 52:2 [0M+H]+"] = "adduct", ["PC 34:1 [M+H0]+"] = "H0",
    ["OxPC 34:1"] = "no oxygen", ["OxPE 16:0_18:1"] = "no oxygen", ["OxPC O-16:0/18:1"] = "no oxygen",
    ["FA 18:2(9Z,9Z)"] = "two double bonds at 9", ["PC 16:0/18:1(18Z)"] = "a double bond at 18 in a chain of 18",
    ["PC(16:0/18:1(25Z))"] = "a double bond at 25", ["FA 18:2(9Z,25Z)"] = "a double bond at 25",
    ["FA 18:3(9Z,21Z,25Z)"] = "a double bond", ["FA 18:1(0Z)"] = "a double bond at 0",
    ["PE P-18:1(1Z)/16:0"] = "a double bond at 1", ["FA 18:0;0OH"] = "a group at 0",
    ["FA 10:0;[8-12cy5:0]"] = "a ring from 8 to 12", ["SPB 18:1(20E);1OH,3OH"] = "a double bond at 20",
    ["FA 18:0;25OH"] = "a group at 25", ["18:0(2OH) Ceramide"] = "chain",
  }
  for name, reason in pairs(REFUSED) do
    it(("is refused: %s"):format(name), function()
      local reading = lipid.read(name)
      assert.same({ name, "verbatim" }, { reading.name, reading.rule })
      assert.matches(reason, reading.reason, 1, true)
    end)
  end

  it("is not one with its oxygen written", function()
    assert.equal("PC 34:1;O", lipid.read("OxPC 34:1;O").name)
  end)
end)
