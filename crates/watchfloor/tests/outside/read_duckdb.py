"""Reads a lake with DuckDB: a folder, or s3://bucket/prefix by way of fsspec.

Prints JSON: rows, rows by source, and the rows of one user.
The table's log names the files that count; others may wait for their deletion.
"""

import json
import sys
from urllib.parse import unquote

import duckdb


def bucket(endpoint):
    """What DuckDB needs to read s3:// without an extension from the internet."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    class Bucket(ArrowFSWrapper):
        protocol = "s3"

    host = endpoint.removeprefix("http://")
    return Bucket(S3FileSystem(endpoint_override=host, scheme="http", region="us-east-1"))


def live_files(root):
    """Files of the table's newest version, by its checkpoint and log entries."""
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


root, user = sys.argv[1], sys.argv[2]
if root.startswith("s3://"):
    duckdb.register_filesystem(bucket(sys.argv[3]))
files = f"read_parquet({live_files(root)}, hive_partitioning = true, union_by_name = true)"
# Findings stand in the same table.
table = f"(select * from {files} where class_uid <> 2004)"
print(
    json.dumps(
        {
            "rows": duckdb.sql(f"select count(*) from {table}").fetchone()[0],
            "sources": dict(duckdb.sql(f"select source, count(*) from {table} group by 1").fetchall()),
            "user": duckdb.execute(f"select raw from {table} where user_name = ?", [user]).fetchall(),
        }
    )
)
