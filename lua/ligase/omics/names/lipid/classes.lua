--- Lipid classes: category, how many chains, and what the molecule has besides them.
---
--- `rest` is the molecule without its chains, with a hydrogen missing for each of them:
--- an acyl chain adds CnH(2n-1)O, an alkyl chain CnH(2n+1), a sphingoid base (its
--- nitrogen and its hydroxyl groups included) CnH(2n+1)N. A place without a chain is a
--- hydrogen. Classes and categories are those of LIPID MAPS (Fahy et al. 2009, J Lipid
--- Res 50:S9; Liebisch et al. 2020, J Lipid Res 61:1539).
local M = {}

---@class ligase.lipid.class
---@field name string canonical
---@field category string "FA", "GL", "GP", "SP", "ST", "SL", "PK"
---@field kind string "acyl", "base" (first chain is a sphingoid base), "alkyl", "wax", "sterol", "ester", "none"
---@field slots integer places for chains
---@field chains integer chains it has
---@field rest string|nil formula of the rest; nil: formulas of this class are not computed
---@field headed boolean|nil the rest stands on the base's first hydroxyl group
---@field lyso string[]|nil class it becomes with fewer chains, by how many it has then

--- The categories by their codes.
M.CATEGORIES = {
  FA = "Fatty acyls", GL = "Glycerolipids", GP = "Glycerophospholipids", SP = "Sphingolipids",
  ST = "Sterol lipids", SL = "Saccharolipids", PK = "Polyketides",
}

--- name | slots | chains | rest | other names, separated by commas
local ACYL = {
  FA = [[
    FA     | 1 | 1 | HO            | FFA, NEFA, Fatty acid, fatty acid, Free fatty acid
    FAL    | 1 | 1 | H             |
    CAR    | 1 | 1 | C7H14NO3      | ACar, AcCa, AcCar, Acylcarnitine, acylcarnitine, CARN, Carnitine, carnitine
    CoA    | 1 | 1 | C21H35N7O16P3S | AcylCoA, acyl-CoA, Acyl-CoA
    NAE    | 1 | 1 | C2H6NO        |
    NAT    | 1 | 1 | C2H6NO3S      | NATau
    GP-NAE | 1 | 1 | C5H13NO6P     | GPNAE
    FAHFA  | 1 | 1 | HO            |
  ]],
  GL = [[
    MG     | 3 | 1 | C3H5O3        | MAG, Monoacylglycerol
    DG     | 3 | 2 | C3H5O3        | DAG, Diacylglycerol
    TG     | 3 | 3 | C3H5O3        | TAG, OxTG, OxTAG, Triacylglycerol
    MGMG   | 2 | 1 | C9H16O8       |
    MGDG   | 2 | 2 | C9H16O8       |
    MHDG   | 2 | 2 | C9H16O8       |
    DGMG   | 2 | 1 | C15H26O13     |
    DGDG   | 2 | 2 | C15H26O13     |
    DHDG   | 2 | 2 | C15H26O13     |
    SQMG   | 2 | 1 | C9H16O10S     |
    SQDG   | 2 | 2 | C9H16O10S     |
    SMGDG  | 2 | 2 | C9H16O11S     | Seminolipid
    DGCC   | 2 | 2 | C10H19NO6     |
    LDGCC  | 2 | 1 | C10H19NO6     |
    DGTS   | 2 | 2 | C10H19NO5     |
    LDGTS  | 2 | 1 | C10H19NO5     |
    DGTA   | 2 | 2 | C10H19NO5     |
    PE-GlcDG | 2 | 2 | C11H22NO11P |
    Glc-DG | 2 | 2 | C9H16O8       |
    TG-EST | 3 | 3 |               | TG EST, TAG EST, TAG-EST
  ]],
  GP = [[
    PC     | 2 | 2 | C8H18NO6P     | GPC, GPCho, OxPC
    LPC    | 2 | 1 | C8H18NO6P     | LysoPC, lysoPC, Lyso PC, LGPCho, OxLPC
    PE     | 2 | 2 | C5H12NO6P     | GPE, GPEtn, OxPE
    LPE    | 2 | 1 | C5H12NO6P     | LysoPE, lysoPE, Lyso PE, LGPEtn, OxLPE
    PS     | 2 | 2 | C6H12NO8P     | GPS, GPSer, OxPS
    LPS    | 2 | 1 | C6H12NO8P     | LysoPS, lysoPS, Lyso PS
    PG     | 2 | 2 | C6H13O8P      | GPG, GPGro, OxPG
    LPG    | 2 | 1 | C6H13O8P      | LysoPG, lysoPG, Lyso PG
    PI     | 2 | 2 | C9H17O11P     | GPI, GPIns, OxPI
    LPI    | 2 | 1 | C9H17O11P     | LysoPI, lysoPI, Lyso PI
    PA     | 2 | 2 | C3H7O6P       | GPA, OxPA
    LPA    | 2 | 1 | C3H7O6P       | LysoPA, lysoPA, Lyso PA
    CPA    | 1 | 1 | C3H6O5P       | cLPA, CLPA, cPA
    PPA    | 2 | 2 | C3H8O9P2      |
    PGP    | 2 | 2 | C6H14O11P2    |
    PT     | 2 | 2 | C7H14NO8P     |
    PEt    | 2 | 2 | C5H11O6P      | PEtOH
    PMeOH  | 2 | 2 | C4H9O6P       | PMe
    MMPE   | 2 | 2 | C6H14NO6P     |
    DMPE   | 2 | 2 | C7H16NO6P     |
    LMMPE  | 2 | 1 | C6H14NO6P     |
    LDMPE  | 2 | 1 | C7H16NO6P     |
    PE-NMe | 2 | 2 | C6H14NO6P     |
    PE-NMe2 | 2 | 2 | C7H16NO6P    |
    NAPE   | 3 | 3 | C5H11NO6P     |
    LNAPE  | 3 | 2 | C5H11NO6P     |
    PE-N   | 3 | 3 | C5H11NO6P     |
    LPE-N  | 3 | 2 | C5H11NO6P     | LysoPE-N
    PS-N   | 3 | 3 | C6H11NO8P     |
    LPS-N  | 3 | 2 | C6H11NO8P     |
    PS-NAc | 3 | 3 | C6H11NO8P     |
    PnC    | 2 | 2 | C8H18NO5P     |
    PnE    | 2 | 2 | C5H12NO5P     |
    CDPDAG | 2 | 2 | C12H19N3O13P2 | CDPDG, CDP-DG, CDP-DAG
    LCDPDAG | 2 | 1 | C12H19N3O13P2 | LCDPDG
    BMP    | 4 | 2 | C6H11O8P      | LBPA
    SLBPA  | 4 | 3 | C6H11O8P      | HBMP
    CL     | 4 | 4 | C9H18O13P2    | OxCL
    LCL    | 4 | 3 | C9H18O13P2    | MLCL
    DLCL   | 4 | 2 | C9H18O13P2    |
    PIP    | 2 | 2 | C9H18O14P2    | GPInsP
    LPIP   | 2 | 1 | C9H18O14P2    |
    PIP2   | 2 | 2 | C9H19O17P3    | GPInsP2
    LPIP2  | 2 | 1 | C9H19O17P3    |
    PIP3   | 2 | 2 | C9H20O20P4    | GPInsP3
    LPIP3  | 2 | 1 | C9H20O20P4    |
    PIM1   | 2 | 2 | C15H27O16P    |
    PIM2   | 2 | 2 | C21H37O21P    |
    PIM3   | 2 | 2 | C27H47O26P    |
    PIM4   | 2 | 2 | C33H57O31P    |
    PIM5   | 2 | 2 | C39H67O36P    |
    PIM6   | 2 | 2 | C45H77O41P    |
    LPIM1  | 2 | 1 | C15H27O16P    |
    LPIM2  | 2 | 1 | C21H37O21P    |
    LPIM3  | 2 | 1 | C27H47O26P    |
    LPIM4  | 2 | 1 | C34H59O30P    |
    LPIM5  | 2 | 1 | C39H67O36P    |
    LPIM6  | 2 | 1 | C45H77O41P    |
    PIN    | 2 | 2 | C15H28NO15P   |
    LPIN   | 2 | 1 | C15H28NO15P   |
    PIMIP  | 2 | 2 | C21H38O24P2   |
    LPIMIP | 2 | 1 | C21H38O24P2   |
    Glc-GP | 2 | 2 | C9H17O11P     |
    6-Ac-Glc-GP | 2 | 2 | C11H19O12P |
  ]],
  SL = [[
    DAT    | 2 | 2 | C15H26O11     |
    AC2SGL | 2 | 2 | C20H36O14S    |
    PAT16  | 4 | 4 |               |
    PAT18  | 4 | 4 |               |
    LA     | 4 | 4 | C12H20N2O9    |
    LLA    | 4 | 3 | C12H20N2O9    |
    DLLA   | 4 | 2 | C12H20N2O9    |
    LA1    | 4 | 4 | C12H21N2O12P  |
    LLA1   | 4 | 3 | C12H21N2O12P  |
    DLLA1  | 4 | 2 | C12H21N2O12P  |
    LA2    | 4 | 4 | C12H22N2O15P2 |
    LLA2   | 4 | 3 | C12H22N2O15P2 |
    DLLA2  | 4 | 2 | C12H22N2O15P2 |
  ]],
  PK = [[
    ANACARD | 1 | 1 |              |
    CATECHOL | 1 | 1 |             |
    PHENOL | 1 | 1 |               |
    RESORCINOL | 1 | 1 |           |
  ]],
}

--- Sphingolipids whose rest stands on the first hydroxyl group of the base ("headed").
local HEADED = [[
    CerP   | 2 | 2 | H2O3P         | C1P
    SM     | 2 | 2 | C5H13NO3P     | GPSM
    EPC    | 2 | 2 | C2H7NO3P      | PE-Cer, CerPE, PECer
    IPC    | 2 | 2 | C6H12O8P      | PI-Cer, CerPI, PICer
    MIPC   | 2 | 2 | C12H22O13P    |
    M(IP)2C | 2 | 2 | C18H33O21P2  | MIP2C
    SL     | 2 | 2 | HO3S          |
    SPBP   | 2 | 1 | H2O3P         | S1P, SIP, SPH-P, LCBP, Sa1P, SPA1P
    LSM    | 2 | 1 | C5H13NO3P     | SPC, LysoSM, lysoSM, Lyso SM
    LIPC   | 2 | 1 | C6H12O8P      |
    LEPC   | 2 | 1 | C2H7NO3P      |
    LHexCer | 2 | 1 | C6H11O5      | HexSph
    LGlcCer | 2 | 1 | C6H11O5      | GlcSph
    LGalCer | 2 | 1 | C6H11O5      | GalSph
    LHex2Cer | 2 | 1 | C12H21O10   | LDHCer, LDHCER, Hex2Sph
    LHex3Cer | 2 | 1 | C18H31O15   | LTHCer, LTHCER, Hex3Sph
    FMC-5  | 2 | 2 | C16H21O10     |
    ACer   | 3 | 3 | H0            |
]]

local PLAIN_BASE = [[
    Cer    | 2 | 2 | H             | CER, Ceramide, ceramide
    SPB    | 2 | 1 | H             | Sph, SPH, LCB, So, Sa, SPA
]]

--- Chains that are no acyl chains.
local OTHER = {
  { "FOH", "FA", "alkyl", 1, 1, "HO", "fatty alcohol" },
  { "HC", "FA", "alkyl", 1, 1, "H", "" },
  { "WE", "FA", "wax", 2, 2, "O", "" },
  { "CE", "ST", "acyl", 1, 1, "C27H45O", "ChE, ChoE, CholE, Chol Ester, Cholesteryl ester, Cholesterol ester, CEster" },
  { "ST", "ST", "sterol", 0, 0, nil, "" },
  { "BA", "ST", "sterol", 0, 0, nil, "" },
  { "SE", "ST", "ester", 1, 1, nil, "" },
}

---@type table<string, ligase.lipid.class>
local classes = {}
local aliases = {}

local function put(class, other_names)
  assert(not classes[class.name], class.name)
  classes[class.name] = class
  aliases[class.name] = class.name
  for alias in other_names:gmatch("[^,]+") do
    aliases[alias:match("^%s*(.-)%s*$")] = class.name
  end
end

local function put_lines(lines, category, kind, headed)
  for name, slots, chains, rest, others in lines:gmatch("([^%s|]+)%s*|%s*(%d)%s*|%s*(%d)%s*|%s*(%w*)%s*|([^\n]*)") do
    put({
      name = name, category = category, kind = kind, headed = headed, slots = math.tointeger(tonumber(slots)),
      chains = math.tointeger(tonumber(chains)), rest = rest ~= "" and rest or nil,
    }, others)
  end
end

for category, lines in pairs(ACYL) do
  put_lines(lines, category, "acyl")
end
put_lines(HEADED, "SP", "base", true)
put_lines(PLAIN_BASE, "SP", "base", false)
for _, one in ipairs(OTHER) do
  put({ name = one[1], category = one[2], kind = one[3], slots = one[4], chains = one[5], rest = one[6] }, one[7])
end

--- What a class becomes when chains are written as missing ("0:0"), by the number that is left.
for _, one in ipairs {
  "PC LPC", "PE LPE", "PS LPS", "PG LPG", "PI LPI", "PA LPA", "MMPE LMMPE", "DMPE LDMPE", "CDPDAG LCDPDAG",
  "PIP LPIP", "PIP2 LPIP2", "PIP3 LPIP3", "PIM1 LPIM1", "PIM2 LPIM2", "PIM3 LPIM3", "PIM4 LPIM4", "PIM5 LPIM5",
  "PIM6 LPIM6", "MGDG MGMG", "DGDG DGMG", "SQDG SQMG", "DGTS LDGTS", "DGCC LDGCC", "DG MG", "TG MG DG",
  "CL - DLCL LCL", "LCL - DLCL", "SLBPA - BMP", "NAPE - LNAPE", "Cer SPB", "CerP SPBP", "SM LSM", "EPC LEPC",
  "IPC LIPC", "LA - DLLA LLA", "LLA - DLLA",
} do
  local name, rest = one:match("^(%S+)(.*)$")
  local lyso = {}
  for lesser in rest:gmatch("%S+") do
    lyso[#lyso + 1] = lesser
  end
  classes[name].lyso = lyso
end

--- A class by its canonical name.
---@param name string
---@return ligase.lipid.class|nil
function M.get(name)
  return classes[name]
end

--- A class by any of its plain names.
---@param name string
---@return ligase.lipid.class|nil
function M.find(name)
  return classes[aliases[name]]
end

return M
