"""Reads what `aegis export --parquet` and `--arrow` write with readers that share no code with it: DuckDB, Polars, pyarrow.

    python3 columns.py PATH_OF_AEGIS JOURNAL...

Each finds in each table of each journal the cells that `aegis export --csv` tells, one by one, and the same exact sums;
times are nanoseconds in UTC, decimals are decimals, nothing is nothing. Ends with a status that says whether it held.
"""

import calendar
import json
import re
import subprocess
import sys
import tempfile
import time
from decimal import Decimal, localcontext
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

# "The end of time", which DuckDB calls infinity.
END_OF_TIME = 2**63 - 1
DUCKDB = {
    "u64": "UBIGINT",
    "i64": "BIGINT",
    "bool": "BOOLEAN",
    "text": "VARCHAR",
    "time": "TIMESTAMPTZ_NS",
    "decimal": "DECIMAL(38,18)",
    "bytes": "BLOB",
}
POLARS = {
    "u64": polars.UInt64,
    "i64": polars.Int64,
    "bool": polars.Boolean,
    "text": polars.String,
    "time": polars.Datetime("ns", "UTC"),
    "decimal": polars.Decimal(38, 18),
    "bytes": polars.Binary,
}
PYARROW = {
    "u64": pyarrow.uint64(),
    "i64": pyarrow.int64(),
    "bool": pyarrow.bool_(),
    "text": pyarrow.string(),
    "time": pyarrow.timestamp("ns", "UTC"),
    "decimal": pyarrow.decimal128(38, 18),
    "bytes": pyarrow.binary(),
}
checks = 0


def equal(found, wanted, what):
    global checks
    checks += 1
    if found == wanted:
        return
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        at = next(n for n, (a, b) in enumerate(zip(found, wanted)) if a != b)
        raise SystemExit(f"{what}: row {at} is {found[at]!r}, wanted {wanted[at]!r}")
    raise SystemExit(f"{what}: {found!r}, wanted {wanted!r}")


def records(text):
    """The fields of each line; nothing is an empty field and an empty text a quoted one, which Python's own reader of CSV
    does not tell apart."""
    row, at = [], 0
    field = re.compile(r'"((?:[^"]|"")*)"|([^,\r\n]*)')
    while at < len(text):
        found = field.match(text, at)
        quoted, plain = found.groups()
        row.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = found.end()
        if text[at] == ",":
            at += 1
        else:
            assert text[at : at + 2] == "\r\n", f"a line ends with CRLF: {text[at:at + 20]!r}"
            at += 2
            yield row
            row = []


def nanoseconds(text):
    """Since 1970, from RFC 3339 in UTC with any digits of a second; without a float."""
    assert text.endswith("Z"), text
    seconds, _, fraction = text[:-1].partition(".")
    whole = calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S"))
    return whole * 10**9 + int(fraction.ljust(9, "0") or 0)


def value(kind, text):
    if text is None:
        return None
    match kind:
        case "u64" | "i64":
            return int(text)
        case "bool":
            return {"true": True, "false": False}[text]
        case "text":
            return text
        case "time":
            return nanoseconds(text)
        case "decimal":
            return Decimal(text)
        case "bytes":
            return bytes.fromhex(text)


def wanted(directory, table):
    """The columns of a CSV file, as lists."""
    text = (directory / f"{table['name']}.csv").read_bytes().decode()
    head, *rows = records(text)
    equal(head, [c["name"] for c in table["columns"]], f"{table['name']}: the columns")
    kinds = [c["type"] for c in table["columns"]]
    return [[value(kind, row[at]) for row in rows] for at, kind in enumerate(kinds)]


def exact_sum(values):
    with localcontext() as context:
        context.prec = 100
        return sum((v for v in values if v is not None), Decimal(0))


def by_duckdb(path, table, columns, in_memory=None):
    connection = duckdb.connect()
    relation = f"read_parquet('{path}')"
    if in_memory is not None:
        connection.register("in_memory", in_memory)
        relation = "in_memory"
    found = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    equal([(row[0], row[1]) for row in found], [(c["name"], DUCKDB[c["type"]]) for c in table["columns"]], path)
    for column, values in zip(table["columns"], columns):
        name, kind = f'"{column["name"]}"', column["type"]
        cell = f"CASE WHEN isinf({name}::TIMESTAMPTZ) THEN {END_OF_TIME} ELSE epoch_ns({name}) END" if kind == "time" else name
        found = [row[0] for row in connection.execute(f"SELECT {cell} FROM {relation}").fetchall()]
        equal(found, values, f"{path}, {column['name']} by DuckDB")
        if kind == "decimal":
            sum_of, count = connection.execute(f"SELECT sum({name}), count({name}) FROM {relation}").fetchone()
            equal(Decimal(sum_of or 0), exact_sum(values), f"{path}, the sum of {column['name']} by DuckDB")
            equal(count, sum(v is not None for v in values), f"{path}, {column['name']}: what is there")
    connection.close()


def by_polars(path, frame, table, columns):
    equal(dict(frame.schema), {c["name"]: POLARS[c["type"]] for c in table["columns"]}, path)
    for column, values in zip(table["columns"], columns):
        series = frame[column["name"]]
        found = series.cast(polars.Int64) if column["type"] == "time" else series
        equal(found.to_list(), values, f"{path}, {column['name']} by Polars")
        if column["type"] == "decimal":
            equal(Decimal(series.sum() or 0), exact_sum(values), f"{path}, the sum of {column['name']} by Polars")


def by_pyarrow(path, found, table, columns):
    equal(
        [(f.name, f.type, f.nullable, (f.metadata or {}).get(b"doc")) for f in found.schema],
        [(c["name"], PYARROW[c["type"]], c["nullable"], c["doc"].encode()) for c in table["columns"]],
        path,
    )
    for column, values in zip(table["columns"], columns):
        chunks = found.column(column["name"])
        cells = chunks.cast(pyarrow.int64()) if column["type"] == "time" else chunks
        equal(cells.to_pylist(), values, f"{path}, {column['name']} by pyarrow")


def too_large(table, columns):
    """Where the first decimal is that needs 39 digits, as an export names it."""
    for at in range(len(columns[0])):
        for column, values in zip(table["columns"], columns):
            if column["type"] == "decimal" and values[at] is not None and abs(values[at]) >= 10**20:
                return f"{table['name']}.{column['name']} of record {columns[0][at]}: {values[at]:f} has 39 digits"
    return None


def check(binary, journal):
    with tempfile.TemporaryDirectory(prefix="aegis-readers-") as work:
        work = Path(work)

        def export(form, *words):
            arguments = [binary, "export", "--journal", journal, f"--{form}", str(work / form), *words]
            return subprocess.run(arguments, capture_output=True, text=True)

        equal(export("csv").returncode, 0, "--csv")
        tables = json.loads((work / "csv/schema.json").read_text())["tables"]
        columns = {table["name"]: wanted(work / "csv", table) for table in tables}
        refused = {table["name"]: too_large(table, columns[table["name"]]) for table in tables}
        fit = [table for table in tables if refused[table["name"]] is None]
        for form in ["parquet", "arrow"]:
            for name, why in refused.items():
                if why is not None:
                    ended = export(form, "--table", name)
                    equal((ended.returncode, why in ended.stderr), (74, True), f"{name}: {ended.stderr}, wanted {why}")
                    equal(list(work.glob(f"{form}*")), [], f"{name} was refused")
            equal(export(form, "--table", *(table["name"] for table in fit)).returncode, 0, f"--{form}")
            equal(len(list((work / form).iterdir())), len(fit), f"files of {form}")
        rows = {name: len(values[0]) for name, values in columns.items()}
        for table in fit:
            name = table["name"]
            parquet, arrow = str(work / f"parquet/{name}.parquet"), str(work / f"arrow/{name}.arrow")
            by_duckdb(parquet, table, columns[name])
            by_polars(parquet, polars.read_parquet(parquet), table, columns[name])
            by_pyarrow(parquet, pyarrow.parquet.read_table(parquet), table, columns[name])
            with pyarrow.ipc.open_file(arrow) as file:
                in_memory = file.read_all()
            by_pyarrow(arrow, in_memory, table, columns[name])
            by_polars(arrow, polars.read_ipc(arrow), table, columns[name])
            by_duckdb(arrow, table, columns[name], in_memory)
            said = pyarrow.parquet.read_metadata(parquet).metadata
            equal(said[b"aegis.last_lsn"], str(rows["records"]).encode(), f"{parquet}: the last record")
        filled = sum(rows[table["name"]] > 0 for table in fit)
        print(
            f"{journal}: {rows['records']} records, {sum(rows.values())} rows; {filled} of {len(fit)} tables have some, "
            f"{len(tables) - len(fit)} refused for a decimal of 39 digits"
        )


def main():
    binary, *journals = sys.argv[1:]
    for journal in journals:
        check(binary, journal)
    print(f"{checks} comparisons held: DuckDB {duckdb.__version__}, Polars {polars.__version__}, pyarrow {pyarrow.__version__}")


if __name__ == "__main__":
    main()
