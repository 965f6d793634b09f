"""Measures the lake beside DuckDB, chDB and ripgrep over zstd text: sizes, needles, aggregations.

    measure.py URL TOKEN DATA GENERATED.json TEXTS SCRATCH

URL and TOKEN are those of a server over the data folder DATA, TEXTS the folder of the generated lines. Peers
that are not installed are named and left out. Times are medians of warm runs; cold ones begin with the caches of
the machine dropped (as root).
"""

import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

URL, TOKEN, DATA, GENERATED, TEXTS, SCRATCH = sys.argv[1:7]
FROM, TO = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
WARM_RUNS = 5

# The same text for the lake and for its peers, but for the table's name.
AGGREGATIONS = {
    "top talkers": "SELECT src_endpoint_ip, count(*) AS n FROM {t} WHERE src_endpoint_ip IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "events by hour by host": "SELECT date_trunc('hour', time) AS h, device_hostname, count(*) AS n FROM {t} GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT 20",
    "distinct users per host": "SELECT device_hostname, count(DISTINCT user_name) AS n FROM {t} GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "events by kind": "SELECT kind, count(*) AS n FROM {t} GROUP BY 1 ORDER BY n DESC, 1",
    "events by class and severity": "SELECT class_uid, severity_id, count(*) AS n FROM {t} GROUP BY 1, 2 ORDER BY 1, 2",
    "failed sign-ins by user": "SELECT user_name, count(*) AS n FROM {t} WHERE class_uid = 3002 AND status_id = 2 GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "bytes in by host": "SELECT dst_endpoint_ip, sum(traffic_bytes_in) AS b FROM {t} WHERE traffic_bytes_in > 0 GROUP BY 1 ORDER BY b DESC, 1 LIMIT 10",
    "rare processes": "SELECT process_file_path, count(*) AS n FROM {t} WHERE process_file_path IS NOT NULL GROUP BY 1 ORDER BY n, 1 LIMIT 10",
    "hosts per user": "SELECT user_name, count(DISTINCT device_hostname) AS n FROM {t} WHERE user_name IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "ports by host": "SELECT dst_endpoint_port, count(DISTINCT src_endpoint_ip) AS n FROM {t} WHERE dst_endpoint_port IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "first and last by source": "SELECT source, min(time) AS a, max(time) AS b, count(*) AS n FROM {t} GROUP BY 1 ORDER BY n DESC, 1",
    "parents of shells": "SELECT actor_process_file_path, count(*) AS n FROM {t} WHERE process_file_path LIKE '%powershell.exe' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "all events": "SELECT count(*) AS n FROM {t}",
}


def post(path, body):
    request = urllib.request.Request(
        URL + path,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def search(query, limit=10):
    return post("/api/v1/search", {"query": query, "from": FROM, "to": TO, "limit": limit, "order": "desc"})


def first_rows(query, limit=50):
    """Milliseconds until the first rows of a search that answers as it goes, as the console asks."""
    request = urllib.request.Request(
        URL + "/api/v1/search/stream",
        json.dumps({"query": query, "from": FROM, "to": TO, "limit": limit, "order": "desc"}).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    start = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data:") and json.loads(line[5:]).get("events"):
                return 1000 * (time.perf_counter() - start)
    raise SystemExit("a search of everything gave no rows")


def sql(text):
    return post("/api/v1/query", {"query": text.format(t="events"), "from": FROM, "to": TO, "limit": 1000})


def drop_caches():
    subprocess.run("sync; echo 3 > /proc/sys/vm/drop_caches", shell=True, check=False)


def timed(work):
    start = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - start), result


def warm(work):
    work()
    return statistics.median(timed(work)[0] for _ in range(WARM_RUNS))


def live_files():
    """The files of the table's newest version; those that were replaced stay on disk for a while."""
    live = set()
    for entry in sorted(glob.glob(f"{DATA}/lake/_delta_log/*.json")):
        with open(entry) as lines:
            for action in map(json.loads, lines):
                if "add" in action:
                    live.add(action["add"]["path"])
                if "remove" in action:
                    live.discard(action["remove"]["path"])
    return sorted(live)


def peers():
    """Names of peers with what runs SQL in them, and the table that they know."""
    found = {}
    files = [f"{DATA}/lake/{path}" for path in live_files()]
    columns = f"read_parquet({files}, hive_partitioning = false, union_by_name = true)"
    plain = f"{SCRATCH}/plain.parquet"
    try:
        import duckdb
    except ImportError:
        print("note: duckdb is not installed; its figures are left out")
        return found
    path = f"{SCRATCH}/events.duckdb"
    connection = duckdb.connect(path)
    connection.execute("SET enable_progress_bar = false; SET threads = 2")
    connection.execute(f"CREATE TABLE events AS SELECT * FROM {columns} ORDER BY time")
    connection.execute("CHECKPOINT")
    connection.execute(f"COPY (SELECT * FROM events) TO '{plain}' (FORMAT parquet, COMPRESSION zstd)")
    found["DuckDB"] = (lambda text: connection.execute(text).fetchall(), "events")
    print(f"size: DuckDB's own file {os.path.getsize(path)}, zstd Parquet of the same rows {os.path.getsize(plain)} bytes")
    try:
        import chdb
    except ImportError:
        print("note: chdb is not installed; its figures are left out")
        return found
    found["chDB"] = (lambda text: chdb.query(text, "JSONCompact"), f"file('{plain}', Parquet)")
    return found


def sizes(generated):
    live = live_files()
    data = sum(os.path.getsize(f"{DATA}/lake/{path}") for path in live)
    filters = sum(os.path.getsize(f"{DATA}/lake/_needles/{path}.needles") for path in live)
    events = generated["events"]
    print(
        f"size: {data} bytes of files and {filters} of filters, {(data + filters) / events:.1f} an event; "
        f"raw {generated['raw_bytes'] / events:.1f}, 1/{generated['raw_bytes'] / (data + filters):.1f} of it"
    )


def needles(generated, known):
    one = generated["needles"][len(generated["needles"]) // 2]
    for kind, word in one.items():
        find = lambda: search(f'"{word}"')
        drop_caches()
        cold, found = timed(find)
        assert found["total"] == 1, (kind, word, found["total"])
        line = f"needle {kind}: cold {cold:.0f} ms, warm {warm(find):.1f} ms"
        for name, (run, table) in known.items():
            text = f"SELECT time, raw FROM {table} WHERE raw LIKE '%{word}%'"
            line += f"; {name} {warm(lambda: run(text)):.0f} ms"
        if shutil.which("rg"):
            scan = lambda: subprocess.run(["rg", "-z", "-F", word, *glob.glob(f"{TEXTS}/*.zst")], capture_output=True, check=True)
            line += f"; ripgrep over zstd text {timed(scan)[0]:.0f} ms"
        print(line, flush=True)


def aggregations(known):
    for name, text in AGGREGATIONS.items():
        line = f"aggregation {name}: {warm(lambda: sql(text)):.0f} ms"
        for peer, (run, table) in known.items():
            asked = text.format(t=table)
            line += f"; {peer} {warm(lambda: run(asked)):.0f} ms"
        print(line, flush=True)


def check(known):
    """The peers say the same."""
    run, table = known["DuckDB"]
    for name in ("top talkers", "failed sign-ins by user", "distinct users per host", "all events"):
        theirs = [list(row) for row in run(AGGREGATIONS[name].format(t=table))]
        ours = sql(AGGREGATIONS[name])["rows"]
        assert ours == theirs, (name, ours, theirs)


def main():
    with open(GENERATED) as file:
        generated = json.load(file)
    os.makedirs(SCRATCH, exist_ok=True)
    sizes(generated)
    known = peers()
    if "DuckDB" in known:
        check(known)
    needles(generated, known)
    drop_caches()
    cold = first_rows("*")
    warmed = statistics.median(first_rows("*") for _ in range(WARM_RUNS))
    print(f"first rows of everything: cold {cold:.0f} ms, warm {warmed:.0f} ms")
    print(f"all of it, counted and by time: {warm(lambda: search('*', 50)):.0f} ms")
    aggregations(known)


main()
