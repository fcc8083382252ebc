--- What is exported of a file of sections is its table: every cell, numbers to the last
--- bit, rows in order.
local support = require "tests.support"

--- Compares an export with the section of the file, both read by Python alone. Prints how
--- many rows and numbers were the same, or the first difference.
local COMPARE = [=[
import sys, csv, struct
path, kind = sys.argv[1:3]
lines = open(path, encoding='utf-8', newline='').read().replace('\r\n', '\n').split('\n')
def between(start, end, skip=()):
    a = next(i for i, l in enumerate(lines) if l.endswith(start))
    b = next(i for i, l in enumerate(lines) if l.endswith(end))
    return [l for l in lines[a + 1:b] if l and not l.startswith(skip or '\0')]
if kind == 'mwtab':
    section = [l.split('\t') for l in between('_DATA_START', '_DATA_END', 'Factors\t')]
elif kind == 'mztab':
    quoting = csv.QUOTE_MINIMAL if 'MTBLS263' in path else csv.QUOTE_NONE
    section = list(csv.reader([l for l in lines if l[:4] in ('SMH\t', 'SML\t')], delimiter='\t', quoting=quoting))
elif kind == 'soft':
    section = [l.split('\t') for l in between('!sample_table_begin', '!sample_table_end')]
elif kind == 'rcc':
    section = [l.split(',') for l in between('<Code_Summary>', '</Code_Summary>')]
else:
    section = [l.split('\t') for l in lines if l]
def bits(cell):
    try:
        return struct.pack('<d', float(cell))
    except ValueError:
        return None
exported = list(csv.reader(sys.stdin))
numbers = 0
if len(exported) != len(section):
    sys.exit('%d rows instead of %d' % (len(exported), len(section)))
for at, (row, found) in enumerate(zip(section, exported)):
    if len(row) != len(found):
        sys.exit('row %d has %d cells instead of %d' % (at, len(found), len(row)))
    for cell, other in zip(row, found):
        if cell != other and (bits(cell) is None or bits(cell) != bits(other)):
            sys.exit('row %d has %r instead of %r' % (at, other, cell))
        numbers += at > 0 and bits(cell) is not None
print(len(section) - 1, numbers)
]=]

local FILES = {
  { "metabolomics/mwtab__ST000017_AN000035.txt", "mwtab", 319 },
  { "metabolomics/mwtab__ST000022_AN000041.txt", "mwtab", 216 },
  { "lipidomics/mztabm2mtbls__LDA_v2.11.1_MTBLS396.mzTab", "mztab", 704 },
  { "metabolomics/mztabm2mtbls__manual_null_MTBLS263.mztab", "mztab", 136 },
  { "metabolomics/mztabm2mtbls__msdial_4_gcms_tms_height_mzTab.mztab", "mztab", 486 },
  { "metabolomics/mztabm2mtbls__m_REQ2025110600008_metabolite_profiling_v2_maf.tsv", "maf", 486 },
  { "transcriptomics/geoquery__GSM11805.txt", "soft", 22283 },
  { "transcriptomics/nanostringqcpro__20140604_C1-unstim_C1-unstim_01.RCC", "rcc", 32 },
}

describe("the export of a file of sections", function()
  it("equals the section of the file", function()
    local _, conninfo = support.migrated()
    for i, file in ipairs(FILES) do
      local path = support.need_shared(file[1])
      local name = "t" .. i
      -- One recipe reads all of them here, because what the names mean plays no part.
      local read = support.ligase { "ingest", "--omics", "lipidomics", "--name", name, path, database = conninfo }
      assert.equal(0, read.code, read.stderr)
      local exported = support.ligase { "export", name, database = conninfo }
      assert.equal(0, exported.code, exported.stderr)
      local rows, numbers = support.python(COMPARE, { path, file[2] }, exported.stdout):match("(%d+) (%d+)")
      assert.equal(file[3], tonumber(rows), file[1])
      assert.is_true(tonumber(numbers) >= file[3], file[1])
    end
  end)
end)
