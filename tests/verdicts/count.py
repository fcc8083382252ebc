"""Counts names, samples, rows and values of real files with Python's csv module alone.

For each file it is written down here by hand where its table stands, which column holds
the names and which columns hold numbers of which sample. Prints path, names, samples,
rows and values, separated by tabs: python3 count.py FOLDER
"""
import csv
import re
import sys

csv.field_size_limit(1 << 30)
MISSING = {"", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "null", "NULL"}
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$|\s*[-+]?inf(inity)?\s*$", re.I)


def is_number(cell):
    return cell not in MISSING and NUMBER.match(cell) is not None


def lines_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return file.read().replace("\r\n", "\n").split("\n")


def table(path, sep, skip=0, quote='"', begin=None, end=None, drop=()):
    """The header and the rows; `begin` and `end` are texts on the lines around them."""
    lines = lines_of(path)[skip:]
    if begin is not None:
        first = next(i for i, line in enumerate(lines) if line.rstrip().endswith(begin))
        lines = lines[first + 1:]
        lines = lines[:next(i for i, line in enumerate(lines) if line.rstrip().endswith(end))]
    lines = [line for line in lines if not line.startswith(drop or "\0")]
    text = "\n".join(lines)
    rows = csv.reader(text.splitlines(True), delimiter=sep, quotechar=quote or '"',
                      quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE)
    rows = [row for row in rows if row]
    header = rows.pop(0)
    if len(header) == len(rows[0]) - 1:
        header.insert(0, "")
    return header, rows


# How the samples stand in the table: columns whose headers fit a pattern, its first group
# being the sample's name; or one column that names the sample of each row.
FILES = {
    "lipidomics/lipidr__F1_data.csv": dict(sep=",", name="Peptide", run="Replicate",
        columns=r"Area$|Background$|Retention Time$"),
    "lipidomics/lipidr__F2_data.csv": dict(sep=",", name="Peptide", run="Replicate",
        columns=r"Area$|Background$|Retention Time$"),
    "lipidomics/lipidr__F2.csv": dict(sep=",", name="Peptide", run="Replicate",
        columns=r"Area$|Background$|Retention Time$"),
    "lipidomics/lipidr__brca_matrix.csv": dict(sep=",", name="lipids", columns=r"(S\d+)$"),
    "lipidomics/mztabm2mtbls__m_REQ2025110600007_metabolite_profiling_v2_maf.tsv": dict(sep="\t",
        name="metabolite_identification", columns=r"(Assay_\d+)$"),
    "metabolomics/fbmn_stats__FeatureMatrix.csv": dict(sep=",", name="row ID", columns=r"(.+) Peak area$"),
    "metabolomics/fbmn_stats__Lab1_GNPS_file_quant.csv": dict(sep=",", name="row ID", columns=r"(.+) Peak area$"),
    "metabolomics/mwtab__ST000017_AN000035.txt": dict(sep="\t", quote=None, begin="MS_METABOLITE_DATA_START",
        end="MS_METABOLITE_DATA_END", drop="Factors\t", name="Samples", columns=r"(?!Samples)(.+)$"),
    "metabolomics/mwtab__ST000022_AN000041.txt": dict(sep="\t", quote=None, begin="NMR_BINNED_DATA_START",
        end="NMR_BINNED_DATA_END", name="Bin range(ppm)", columns=r"(?!Bin range)(.+)$"),
    "metabolomics/mwtab__ST000040_AN000060.txt": dict(sep="\t", quote=None, begin="MS_METABOLITE_DATA_START",
        end="MS_METABOLITE_DATA_END", drop="Factors\t", name="Samples", columns=r"(?!Samples)(.+)$"),
    "metabolomics/mztabm2mtbls__m_REQ2025110600008_metabolite_profiling_v2_maf.tsv": dict(sep="\t",
        name="metabolite_identification", columns=r"((Cont|MeKO).+)$"),
    "metabolomics/mztabm2mtbls__m_REQ2025110600011_metabolite_profiling_v2_maf.tsv": dict(sep="\t",
        name="metabolite_identification", columns=r"(2023040.+)$"),
    "nasty/messytables__example.tsv": dict(sep="\t", name="hour", columns=r"(?!hour)(.+)$"),
    "proteomics/alphapeptstats__proteinGroups.txt": dict(sep="\t", name="Majority protein IDs",
        columns=r"(?:LFQ intensity|Intensity|iBAQ|MS/MS count|Peptides|Razor \+ unique peptides|Unique peptides) "
        r"((?:AC|UT)\S+)$|Sequence coverage ((?:AC|UT)\S+) \[%\]$"),
    "proteomics/alphapeptstats__report_final.pg_matrix.tsv": dict(sep="\t", name="Protein.Group",
        columns=r"(S\d+)$"),
    "proteomics/galaxyp__dialignr_alignedTargetedRuns.tsv": dict(sep="\t", name="sequence", run="run",
        columns=r"intensity$"),
    "proteomics/galaxyp__lfq_protein_quant_summarised_proteins.tsv": dict(sep="\t", name="protein",
        columns=r"(sumIntensity.+)$"),
    "proteomics/galaxyp__maxquant_proteinGroups.txt": dict(sep="\t", name="Majority protein IDs",
        columns=r"Reporter intensity (?:corrected |count )?(\d+ tmt_data.mzXML)$|(?:Peptides|Razor \+ unique peptides|"
        r"Unique peptides|Sequence coverage|Intensity) (tmt_data.mzXML)"),
    "proteomics/galaxyp__msstatstmt_ComparisonResultMQ.tsv": dict(sep="\t", name="Protein",
        columns=r"log2FC$|SE$|DF$|pvalue$|adj\.pvalue$"),
    "proteomics/galaxyp__quantp_protein_data.tabular": dict(sep="\t", name="Gene", columns=r"([DM]\d\d_\d\d)$"),
    "proteomics/msstatsconvert__DIAUmpire_dia_frag.csv": dict(sep=",", name="Protein",
        columns=r"(lgillet_I150211_\d+)_"),
    "proteomics/msstatsconvert__DIAUmpire_dia_prot.csv": dict(sep=",", name="Protein.Key",
        columns=r"(lgillet_I150211_\d+)_"),
    "proteomics/msstatsconvert__MaxQuant_mq_ev.csv": dict(sep=",", name="Leading.Razor.Protein", run="Experiment",
        columns=r"Intensity$|Retention\.time$|MS\.MS\.Count$"),
    "proteomics/msstatsconvert__MaxQuant_mq_pg.csv": dict(sep=",", name="Majority.protein.IDs",
        columns=r"(?:LFQ\.intensity|Intensity|iBAQ|MS\.MS\.Count|Peptides|Razor\.\.\.unique\.peptides|"
        r"Unique\.peptides|Sequence\.coverage)\.(\d\d_LysC_Try_1to10_Mixt_\d_\d)"),
    "proteomics/msstatsconvert__OpenMSTMT_openmstmt_input.csv": dict(sep=",", name="ProteinName",
        run="BioReplicate", columns=r"Intensity$"),
    "proteomics/msstatsconvert__OpenMS_openms_input.csv": dict(sep=",", name="ProteinName", run="Run",
        columns=r"Intensity$"),
    "proteomics/msstatsconvert__PD_pd_input.csv": dict(sep=",", name="Protein.Group.Accessions",
        run="Spectrum.File", columns=r"Precursor\.Area$|Intensity$|RT\.\.min\.$"),
    "proteomics/msstatsconvert__ProteinProspector_Prospector_TotalTMT.txt": dict(sep="\t", quote=None, skip=2,
        name="Acc #", run="Fraction", columns=r"Int \d+$|RT$"),
    "proteomics/msstatsconvert__SpectroMine_spectromine_input.csv": dict(sep=",", name="PG.ProteinAccessions",
        run="R.FileName", columns=r"PSM\.TMT6_\d+\.\.Raw\.$"),
    "proteomics/msstatsconvert__Spectronaut_spectronaut_input.csv": dict(sep=",", name="PG.ProteinGroups",
        run="R.FileName", columns=r"(PG|PEP|FG)\.Quantity$|F\.(NormalizedPeak|Peak)(Area|Height)$"),
    "transcriptomics/cummerbund__genes.fpkm_tracking": dict(sep="\t", name="tracking_id",
        columns=r"(iPS|hESC|Fibroblasts)_(FPKM|conf_lo|conf_hi)$"),
    "transcriptomics/cummerbund__isoform_exp.diff": dict(sep="\t", name="test_id",
        columns=r"value_[12]$|log2\(fold_change\)$|test_stat$|[pq]_value$"),
    "transcriptomics/featurecounts__P1234_101_biotype_counts.txt": dict(sep="\t", skip=1, name="Geneid",
        columns=r"(.+)\.bam$"),
    "transcriptomics/featurecounts__P1234_114_biotype_counts.txt": dict(sep="\t", skip=1, name="Geneid",
        columns=r"(.+)\.bam$"),
    "transcriptomics/generated__deseq2_Li2008_LNCaP_treated_vs_control.csv": dict(sep=",", name="",
        columns=r"baseMean|log2FoldChange|lfcSE|stat|pvalue|padj"),
    "transcriptomics/generated__edgeR_Li2008_topTags.tsv": dict(sep="\t", name="",
        columns=r"logFC|logCPM|LR|PValue|FDR"),
    "transcriptomics/generated__limma_voom_Li2008_topTable.txt": dict(sep="\t", name="",
        columns=r"logFC|AveExpr|t$|P\.Value|adj\.P\.Val|B$"),
    "transcriptomics/geoquery__GSM11805.txt": dict(sep="\t", quote=None, begin="!sample_table_begin",
        end="!sample_table_end", name="ID_REF", columns=r"(VALUE)$"),
    "transcriptomics/goseq__Li_sum.txt": dict(sep="\t", name="genes", columns=r"(lane\d)$"),
    "transcriptomics/htseq__WTCHG_536273_229157.tsv": dict(sep="\t", quote=None, header=["gene", "a", "b", "count"],
        name="gene", columns=r"(count)$"),
    "transcriptomics/htseq__counts.tsv": dict(sep="\t", name="feature", columns=r"(count)$"),
    "transcriptomics/nanostringqcpro__20140604_C1-unstim_C1-unstim_01.RCC": dict(sep=",", begin="<Code_Summary>",
        end="</Code_Summary>", name="Name", columns=r"(Count)$"),
    "transcriptomics/progeny__mouse_input.csv": dict(sep=",", name="", columns=r"((?:s|wt)\d)$"),
    "transcriptomics/rgsepd__IlluminaBodymap.csv": dict(sep=";", name="", columns=r"(.+\.\d)$"),
    "transcriptomics/tximportdata__ERR188088.genes.results": dict(sep="\t", name="gene_id",
        columns=r"(?:effective_length|expected_count|TPM|FPKM)()$"),
    "transcriptomics/tximportdata__kallisto_ERR188088_abundance.tsv": dict(sep="\t", name="target_id",
        columns=r"(?:eff_length|est_counts|tpm)()$"),
    "transcriptomics/tximportdata__salmon_ERR188021_quant.sf": dict(sep="\t", name="Name",
        columns=r"(?:EffectiveLength|TPM|NumReads)()$"),
    "transcriptomics/tximportdata__salmon_ERR188088_quant.sf": dict(sep="\t", name="Name",
        columns=r"(?:EffectiveLength|TPM|NumReads)()$"),
}


def count(path, sep, name, columns, run=None, header=None, **where):
    found, rows = table(path, sep, **where)
    if header is not None:
        rows.insert(0, found)
        found = header
    rows = [row + [""] * (len(found) - len(row)) for row in rows]
    at = found.index(name)
    samples, numbers = set(), []
    for position, title in enumerate(found):
        match = re.match(columns, title)
        if match and position != at:
            numbers.append(position)
            if run is None and match.groups():
                samples.add(next((group for group in match.groups() if group is not None), ""))
    if run is not None:
        samples = {row[found.index(run)] for row in rows}
    values = sum(is_number(row[position]) for row in rows for position in numbers)
    return len({row[at] for row in rows if row[at] != ""}), len(samples), len(rows), values


def main(folder):
    for path, how in FILES.items():
        print(path, *count(folder + "/" + path, **how), sep="\t")


main(sys.argv[1])
