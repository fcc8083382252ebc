--- Names that tell of a sum and of a part of it, or of a group by a suffix, as vendors' software and
--- panels do: "TAG48:1-FA16:0", "CAR 5:0-DC", "LPC 18:1 [sn1]", "FAHFA 18:1/18:1;O".
---
--- As in ligase.omics.names.lipid.dialects, a rule rewrites a name into one that the grammar
--- reads. What that cannot say is returned to be set aside. A rule that knows a name's form
--- but finds no sense in it gives nil and the reason.
local heads = require "ligase.omics.names.lipid.heads"

local M = {}

local function size_of(text)
  local carbons, double_bonds = text:match("^(%d+):(%d+)$")
  return math.tointeger(tonumber(carbons)), math.tointeger(tonumber(double_bonds))
end

--- "TAG48:1" -> its class, "", "48:1"
local function sum_of(text)
  local class, bond, size = text:match("^(%a+)[ %(]*([OP]?%-?)(%d+:%d+)%)?$")
  local head = class and heads.find(class)
  if head and head.class.kind == "acyl" and head.class.chains > 1 and (bond == "" or #bond == 2) then
    return head.class, bond, size
  end
  return nil
end

--- Whether a sum can hold such a chain and still one carbon for each of the others.
local function fits(class, sum, chain)
  local carbons, double_bonds = size_of(sum)
  local first_carbons, first_double_bonds = size_of(chain)
  return first_carbons and first_carbons >= 1 and carbons - first_carbons >= class.chains - 1
    and double_bonds >= first_double_bonds
end

--- "TAG48:1-FA16:0" of SCIEX' Lipidyzer, "TG(48:1) [NL-16:0]": the sum, and one of the chains
local function known_chain(text)
  local sum, what, chain = text:match("^(.-)[-_ ]+(FA[ %(]?)(%d+:%d+)%)?$")
  if not sum then
    sum, what, chain = text:match("^(.-) ?%[(NL[- ])(%d+:%d+)%]$")
  end
  local class, bond, size = sum_of(sum or "")
  if class and not fits(class, size, chain) then
    return nil, ("a sum of %s in %s cannot hold a chain %s"):format(size, class.name, chain)
  elseif class then
    return ("%s %s%s"):format(class.name, bond, size), "lipid.known-chain",
      { detail = what:match("^%u+") .. " " .. chain }
  end
  return nil
end

--- "TG(48:1) [SIM]": a sum measured by one ion
local function single_ion(text)
  local name = text:match("^(.-) ?%[SIM%]$")
  if name then
    return name, "lipid.single-ion", { evidence = "SIM" }
  end
  return nil
end

--- "CAR 5:0-DC", "CAR DC5:0", "FA 16:0-OH", "Carnitine C5-DC", "C5-OH carnitine": a dicarboxylic acid,
--- both of whose carboxyl carbons are counted, or a hydroxy acid
local function suffixed(text)
  local class, size, kind = text:match("^(%a+)[ %(]+C?(%d+:?%d*)%-(%u%u)%)?$")
  if not class then
    class, kind, size = text:match("^(%a+)[ %(]+(DC)(%d+:%d+)%)?$")
  end
  if not class then
    size, kind, class = text:match("^C(%d+:?%d*)%-?(%u?%u?) (%a+)$")
    class = class and class:lower():find("^a?c?y?l?carnitine$") and "CAR"
  end
  local head = class and heads.find(class)
  if not head or head.class.name ~= "CAR" and head.class.name ~= "FA" then
    return nil
  end
  local carbons, double_bonds = size_of(size:find(":", 1, true) and size or size .. ":0")
  if kind == "DC" and carbons and carbons > 1 then
    return ("%s %d:%d;O2"):format(head.class.name, carbons, double_bonds + 1), "lipid.suffixed",
      { detail = size .. "-DC" }
  elseif kind == "OH" and carbons then
    return ("%s %d:%d;O"):format(head.class.name, carbons, double_bonds), "lipid.suffixed", { detail = size .. "-OH" }
  elseif kind == "" and carbons then
    return ("%s %d:%d"):format(head.class.name, carbons, double_bonds), "lipid.suffixed"
  end
  return nil
end

--- "LPC 18:1 [sn1]", "LPC 18:1-SN1", "LPC(18:1) sn-2": the place of a lysolipid's only chain
local function placed(text)
  local name, place = text:match("^(.-%d%)?)[- ]*[%[%(]?[sS][nN]%-?([12])[%]%)]?$")
  local class, chain = (name or ""):match("^(%a+)[ %(]+([OP]?%-?%d+:%d+)%)?$")
  local head = class and heads.find(class)
  if head and head.class.kind == "acyl" and head.class.chains == 1 and head.class.slots == 2 then
    return ("%s %s"):format(head.class.name, place == "1" and chain .. "/0:0" or "0:0/" .. chain), "lipid.placed"
  end
  return nil
end

--- "PC-O 34:1", "DG-O(14:0_18:2)": an ether of the sum; which of the chains has it is not said
local function ether_of_class(text)
  local class, bond, body = text:match("^(%u+)%-([OP])[ %(]+(%d[%d:_/]*)%)?$")
  local head = class and heads.find(class)
  if not head or head.class.category ~= "GP" and head.class.category ~= "GL" then
    return nil
  end
  local carbons, double_bonds, count = 0, 0, 0
  for size in body:gmatch("[^_/]+") do
    local c, d = size_of(size)
    if not c then
      return nil
    end
    carbons, double_bonds, count = carbons + c, double_bonds + d, count + 1
  end
  if count ~= 1 and count ~= head.class.chains then
    return nil
  end
  return ("%s %s-%d:%d"):format(head.class.name, bond, carbons, double_bonds), "lipid.ether-of-class",
    count > 1 and { detail = body } or nil
end

--- "FAHFA 18:1/18:1;O" of MS-DIAL: an acyl chain on the hydroxyl group of a fatty acid
local function fahfa(text)
  local acyl, chain = text:match("^FAHFA (%d+:%d+)/(%d+:%d+);O$")
  if acyl then
    return ("FAHFA %s;O(FA %s)"):format(chain, acyl), "lipid.fahfa"
  end
  return nil
end

--- "Cer 18:0;O2/17:0(3OH)(FA 15:0)" and, as a sum of base and acid, "Cer 34:0;O3(FA 15:0)" of MS-DIAL
local function esterified(text)
  local before, place, acyl = text:match("^(.*/%d+:%d+)%((%d*)OH%)%(FA (%d+:%d+)%)$")
  if before then
    return ("%s;%sO(FA %s)"):format(before, place, acyl), "lipid.esterified"
  end
  local class, size, oxygens
  class, size, oxygens, acyl = text:match("^(Cer) (%d+:%d+);O(%d)%(FA (%d+:%d+)%)$")
  if not class then
    return nil
  end
  local carbons, double_bonds = size_of(size)
  local more_carbons, more_double_bonds = size_of(acyl)
  return ("%s %d:%d;O%d"):format(class, carbons + more_carbons, double_bonds + more_double_bonds + 1, oxygens + 1),
    "lipid.esterified", { detail = ("%s;O%s(FA %s)"):format(size, oxygens, acyl) }
end

--- "PIP2<2PO4{4,5}>(38:4)", "PC(2O-34:1)" of LipidLynxX
local function lynx(text)
  local class, places, body = text:match("^(L?PIP%d?)<%d?PO4{?([%d,]*)}?>(%(.*)$")
  if class then
    return (places == "" and "%s%s%s" or "%s[%s]%s"):format(class, places, body), "lipid.lynx"
  end
  local plain = text:gsub("([%(_/])2O%-(%d)", "%1dO-%2")
  if plain ~= text then
    return plain, "lipid.lynx"
  end
  return nil
end

M.RULES = {
  known_chain, single_ion, suffixed, placed, ether_of_class, fahfa, esterified, lynx,
}

return M
