"""The files of a Delta table's newest version, by its checkpoint and log: others wait for their deletion."""

import json
from urllib.parse import unquote

import duckdb


def live_files(root):
    files = {}
    checkpoints = duckdb.sql(f"select file from glob('{root}/_delta_log/*.checkpoint.parquet') order by 1").fetchall()
    first = 0
    if checkpoints:
        newest = checkpoints[-1][0]
        first = int(newest.rsplit("/", 1)[1].split(".")[0]) + 1
        rows = duckdb.sql(f"select add.path from read_parquet('{newest}') where add is not null").fetchall()
        files = {path: None for (path,) in rows}
    entries = duckdb.sql(f"select file from glob('{root}/_delta_log/*.json') order by 1").fetchall()
    for (entry,) in entries:
        if int(entry.rsplit("/", 1)[1].split(".")[0]) < first:
            continue
        text = duckdb.sql(f"select content from read_text('{entry}')").fetchone()[0]
        for action in map(json.loads, text.splitlines()):
            if "add" in action:
                files[action["add"]["path"]] = None
            if "remove" in action:
                files.pop(action["remove"]["path"], None)
    return [f"{root}/{unquote(path)}" for path in files]
