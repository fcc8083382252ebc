"""Compares what was exported of real files with the tables in the files, cell for cell.

Reads JSON lines from standard input, one for each file: {"path", "exported", "format",
"dialect", "columns"}; dialect and columns as they are stored with the revision. Of what
ligase does, only the dialect is taken: the file is decoded, cut into lines and cells, and
its numbers are read here. Prints for each file: path, rows, cells, and how many cells came
back as the same number in other digits; or path and the first difference.
"""
import csv
import gzip
import io
import json
import re
import struct
import sys

csv.field_size_limit(1 << 30)
NUMBER = re.compile(r"[ \t]*[-+]?(\d+[.]?\d*|[.]\d+)([eE][-+]?\d+)?[ \t]*\Z")


class Difference(Exception):
    pass


def text_of(path, encoding):
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode(encoding).removeprefix("\ufeff")


def lines_of(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def between(lines, start, end, drop="\0"):
    first = next(i for i, line in enumerate(lines) if line.rstrip().endswith(start))
    last = next(i for i, line in enumerate(lines) if line.rstrip().endswith(end))
    return [line for line in lines[first + 1:last] if line and not line.startswith(drop)]


def split(lines, separator, quote):
    """Cells of lines; in the formats of sections no cell goes over a line's end."""
    how = {"quotechar": quote, "strict": True} if quote else {"quoting": csv.QUOTE_NONE}
    return list(csv.reader(lines, delimiter=separator, **how))


def mwtab(text, quote):
    return split(between(lines_of(text), "_DATA_START", "_DATA_END", drop="Factors\t"), "\t", quote)


def mwtab_json(text, _):
    def cell(value):
        return value if isinstance(value, str) else json.dumps(value)

    about = json.loads(text)
    section = next(about[name] for name in about if name.endswith("_DATA") and about[name].get("Data"))
    items = section["Data"]
    return [list(items[0])] + [[cell(item[name]) for name in items[0]] for item in items]


def mztab(text, quote):
    lines = [line for line in lines_of(text) if line[:4] in ("PRH\t", "PRT\t", "SMH\t", "SML\t")]
    rows = {"PRH\t": "PRT\t", "SMH\t": "SML\t"}[lines[0][:4]]
    return split([lines[0]] + [line for line in lines if line.startswith(rows)], "\t", quote)


def soft(text, quote):
    return split(between(lines_of(text), "!sample_table_begin", "!sample_table_end"), "\t", quote)


def rcc(text, quote):
    return split(between(lines_of(text), "<Code_Summary>", "</Code_Summary>"), ",", quote)


def rcc_collector(text, quote):
    """The only table whose header is made: from the names of the files in the first line."""
    rows = split([line for line in lines_of(text) if line], ",", quote)
    return [["CodeClass", "Name", "Accession"] + rows[0][3:]] + [row for row in rows[1:] if row[1] != ""]


SECTIONS = {"mwtab": mwtab, "mwtab_json": mwtab_json, "mztab": mztab, "soft": soft, "rcc": rcc,
            "rcc_collector": rcc_collector}


def plain_table(text, dialect):
    """A table as it stands behind the lines that are skipped: rows as wide as they are."""
    rest = io.StringIO(text, newline="")
    for _ in range(dialect["skip_lines"]):
        line = rest.readline()
        if "\r" in line.removesuffix("\n").removesuffix("\r"):
            raise Difference("lines that end in CR alone are not skipped here")
    lines = iter(rest)
    if dialect.get("comment"):
        lines = (line for line in lines if not line.startswith(dialect["comment"]))
    quote = dialect["quote"]
    how = {"quotechar": quote, "strict": True} if quote else {"quoting": csv.QUOTE_NONE}
    return [row for row in csv.reader(lines, delimiter=dialect["separator"], **how) if row]


def bits(cell, decimal):
    if decimal == ",":
        cell = cell.replace(".", "\0").replace(",", ".")
    return struct.pack("<d", float(cell)) if NUMBER.match(cell) else None


def compare_rows(rows, exported, columns, decimal):
    digits, cells, numbers = 0, 0, [column["type"] == "number" for column in columns]
    if len(rows) != len(exported):
        raise Difference("%d rows came back instead of %d" % (len(exported), len(rows)))
    for at, (row, found) in enumerate(zip(rows, exported), 1):
        if len(row) != len(found):
            raise Difference("row %d has %d cells instead of %d" % (at, len(found), len(row)))
        cells += len(row)
        for place, (cell, other) in enumerate(zip(row, found)):
            if cell == other:
                continue
            number = bits(cell, decimal)
            if number is None or not numbers[place] or number != bits(other, decimal):
                raise Difference("row %d, column %d is %r instead of %r" % (at, place + 1, other, cell))
            digits += 1
    return cells, digits


def compare(job):
    dialect = job["dialect"]
    text = text_of(job["path"], dialect["encoding"])
    section = SECTIONS.get(job["format"])
    table = section(text, dialect["quote"]) if section else plain_table(text, dialect)
    with open(job["exported"], encoding="utf-8", newline="") as file:
        exported = list(csv.reader(file, strict=True))
    header = [] if dialect.get("header") is False else [table.pop(0)]
    for cells in header:
        if exported[0] != cells:
            raise Difference("the header is %r instead of %r" % (exported[0], cells))
    cells, digits = compare_rows(table, exported[len(header):], job["columns"], dialect["decimal"])
    return len(table), cells, digits


def main():
    for line in sys.stdin:
        job = json.loads(line)
        try:
            print(job["path"], *compare(job), sep="\t")
        except Difference as difference:
            print(job["path"], difference, sep="\t")


main()
