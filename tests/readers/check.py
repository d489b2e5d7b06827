"""Exports of a journal, read back by readers that know nothing of aegis.

DuckDB reads the CSV files, the sqlite3 shell the database, beancount the ledger. Row counts, the exact sum of every decimal
column of every table, and the first and last time must be those that the program's own queries give; the ledger must pass
bean-check, hold the balances that the journal ends with, and earn the profit that `aegis status` shows. The same is asked of
a plain copy that is damaged, which must be told and read up to the hole.

Usage: check.py PATH-OF-AEGIS
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal, getcontext

import duckdb
from beancount import loader
from beancount.core import data, inventory

getcontext().prec = 60
AEGIS = sys.argv[1]
DUCK = {
    "u64": "UBIGINT",
    "i64": "BIGINT",
    "bool": "BOOLEAN",
    "text": "VARCHAR",
    "time": "TIMESTAMP_NS",
    "decimal": "DECIMAL(38,18)",
    "bytes": "VARCHAR",
}
checked = {"tables": 0, "sums": 0, "transactions": 0}


def aegis(*words, code=0):
    ended = subprocess.run([AEGIS, *map(str, words)], capture_output=True, text=True, check=False)
    if ended.returncode not in (code if isinstance(code, tuple) else (code,)):
        sys.exit(f"aegis {words}: code {ended.returncode} and not {code}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def query(journal, sql, code=0):
    """The first row of an answer, in the order of its columns, and what was told at the end."""
    lines = [json.loads(line) for line in aegis("query", sql, "--journal", journal, "--json", code=code).splitlines()]
    return [lines[1][name] for name in lines[0]["columns"]], lines[-1]


def same(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} and not {wanted!r}")


def decimal(value):
    return None if value in (None, "") else Decimal(str(value))


def figures(table):
    """What is asked about a table: how the program, DuckDB and the sqlite3 shell each ask for it."""
    decimals = [c["name"] for c in table["columns"] if c["type"] == "decimal"]
    times = [c["name"] for c in table["columns"] if c["type"] == "time"]
    ours = ["count(*)"] + [f"sum({c})" for c in decimals] + [f"{f}({c})" for c in times for f in ("min", "max")]
    shell = [f.replace("sum(", "decimal_sum(") for f in ours]
    return decimals, times, ours, shell


def duck_reads(directory, schema, wanted):
    duck = duckdb.connect()
    for table in schema:
        columns = {c["name"]: DUCK[c["type"]] for c in table["columns"]}
        path = directory / f"{table['name']}.csv"
        decimals, times, ours, _ = figures(table)
        # Times are asked for as text with all nine digits, so that no binding rounds them.
        asked = [f"strftime({f}, '%Y-%m-%dT%H:%M:%S.%nZ')" if f.startswith("m") else f for f in ours]
        row = duck.execute(
            f"select {', '.join(asked)} from read_csv(?, header = true, auto_detect = false, delim = ',', quote = '\"', "
            f"escape = '\"', columns = {json.dumps(columns)})".replace('{"', "{'").replace('": "', "': '")
            .replace('", "', "', '").replace('"}', "'}"),
            [str(path)],
        ).fetchone()
        compare(f"DuckDB, {path}", decimals, times, row, wanted[table["name"]])


def shell_reads(file, schema, wanted):
    same("integrity", shell(file, "pragma integrity_check"), [["ok"]])
    for table in schema:
        decimals, times, _, asked = figures(table)
        row = shell(file, f"select {', '.join(asked)} from {table['name']}")[0]
        row = [None if cell == "" else cell for cell in row]
        row[0] = int(row[0])
        compare(f"sqlite3, {table['name']}", decimals, times, row, wanted[table["name"]])


def shell(file, sql):
    ended = subprocess.run(["sqlite3", "-readonly", str(file), sql], capture_output=True, text=True, check=True)
    return [line.split("|") for line in ended.stdout.splitlines()]


def compare(what, decimals, times, row, wanted):
    same(f"{what}: rows", row[0], wanted[0])
    for at, name in enumerate(decimals, 1):
        # The shell's sum of nothing is 0, ours is nothing.
        same(f"{what}: sum of {name}", decimal(row[at]) or Decimal(0), decimal(wanted[at]) or Decimal(0))
        checked["sums"] += 1
    for at in range(2 * len(times)):
        place = 1 + len(decimals) + at
        same(f"{what}: times", row[place] or None, wanted[place])
    checked["tables"] += 1


def ledger_reads(file, journal, realised):
    passed = subprocess.run([pathlib.Path(sys.executable).parent / "bean-check", file], capture_output=True, text=True)
    same("bean-check", (passed.returncode, passed.stderr), (0, ""))
    entries, errors, _ = loader.load_file(str(file))
    same("beancount", errors, [])
    sums = {}
    for entry in data.filter_txns(entries):
        checked["transactions"] += 1
        if "lsn" not in entry.meta:
            sys.exit(f"{entry} names no record")
        for posting in entry.postings:
            sums.setdefault(posting.account, inventory.Inventory()).add_position(posting)
    quote = query(journal, "select quote from journal_created")[0][0]
    for at in range(query(journal, "select count(*) from balances")[0][0]):
        asset, total = query(journal, f"select asset, total from balances where asset_id = {at}")[0]
        if total is not None:
            held = sums.get(f"Assets:Exchange:{asset}", inventory.Inventory())
            units = sum((p.units.number for p in held if p.units.currency == asset), Decimal(0))
            same(f"the ledger's {asset}", units, Decimal(total))
    def total(prefix):
        return sum((p.units.number for a, i in sums.items() if a.startswith(prefix) for p in i), Decimal(0))
    profit = -total("Income:Profit:") - total(f"Expenses:Fees:{quote}")
    same("the ledger's profit net of quote fees", profit, Decimal(realised))


def all_of(journal, place, code=0):
    """Exports a journal and reads it back everywhere."""
    place.mkdir()
    for option, name in (("--csv", "csv"), ("--sqlite", "journal.db"), ("--beancount", "journal.beancount")):
        aegis("export", option, place / name, "--journal", journal, code=code)
        aegis("export", option, place / name, "--journal", journal, code=2)
    schema = json.loads((place / "csv" / "schema.json").read_text())["tables"]
    wanted = {}
    for table in schema:
        _, _, ours, _ = figures(table)
        wanted[table["name"]], told = query(journal, f"select {', '.join(ours)} from {table['name']}", code=code)
    duck_reads(place / "csv", schema, wanted)
    shell_reads(place / "journal.db", schema, wanted)
    return wanted, told


def under_load(top, wanted=3):
    """Plain copies of a journal that is being written: whole batches up to some record, also while the writer goes on."""
    # So slow that it is far from its end when the last copy is taken.
    words = ["run", "--data", top / "busy", "--seed", "8", "--act", "act1", "--pace", "1000000x"]
    run = subprocess.Popen([AEGIS, *words], stdout=subprocess.DEVNULL)
    journal, copies = top / "busy" / "act1" / "engine", 0
    try:
        while copies < wanted:
            same("the run while it is copied", run.poll(), None)
            copy = top / f"copy-{copies}"
            shutil.rmtree(copy, ignore_errors=True)
            # While the journal is being made there is none to copy yet.
            copied = subprocess.run(["cp", "-r", journal, copy], capture_output=True, check=False).returncode == 0
            if copied and subprocess.run([AEGIS, "verify", copy], capture_output=True).returncode in (0, 1, 65):
                all_of(copy, top / f"of-copy-{copies}", code=(0, 65))
                count, told = query(journal, "select count(*) from records")
                same("records of a live journal", count[0], told["lsn"])
                copies += 1
    finally:
        run.terminate()
        run.wait()
    return copies


def main():
    with tempfile.TemporaryDirectory(prefix="aegis-readers-") as top:
        top = pathlib.Path(top)
        aegis("run", "--data", top / "data", "--seed", 7)
        acts = [json.loads(line) for line in aegis("status", "--data", top / "data", "--json").splitlines()]
        for act in acts:
            journal = top / "data" / act["act"] / "engine"
            wanted, told = all_of(journal, top / act["act"])
            same("records", wanted["records"][0], act["lsn"])
            same("fills", wanted["fills"][0], act["summary"]["fills"])
            same("the hole", told["hole"], None)
            realised = query(journal, "select sum(realised) from cycles")[0][0] or "0"
            same("profit of the cycles", Decimal(realised), Decimal(act["summary"]["realised"]))
            ledger_reads(top / act["act"] / "journal.beancount", journal, act["summary"]["realised"])

            copy = top / f"{act['act']}-damaged"
            shutil.copytree(journal, copy)
            segment = sorted(copy.glob("*.seg"))[0]
            content = bytearray(segment.read_bytes())
            content[9_000:9_008] = b"\xff" * 8
            segment.write_bytes(content)
            wanted, told = all_of(copy, top / f"{act['act']}-of-the-damaged", code=65)
            if not 0 < wanted["records"][0] < act["lsn"] or told["hole"] is None:
                sys.exit(f"the damage was not noticed: {wanted['records']}, {told}")
            text = aegis("query", "select count(*) from records", "--journal", copy, code=65)
            if "copied while live or damaged" not in text:
                sys.exit(f"the damage was not told: {text}")
        copies = under_load(top)
    print(
        f"read back alike: {checked['tables']} tables, {checked['sums']} sums, {checked['transactions']} transactions, "
        f"{copies} copies under load"
    )


main()
