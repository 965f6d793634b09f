"""Reads a lake with DuckDB: a folder, or s3://bucket/prefix by way of fsspec.

Prints JSON: rows, rows by source, and the rows of one user.
"""

import json
import sys

import duckdb
from live_files import live_files


def bucket(endpoint):
    """What DuckDB needs to read s3:// without an extension from the internet."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    class Bucket(ArrowFSWrapper):
        protocol = "s3"

    host = endpoint.removeprefix("http://")
    return Bucket(S3FileSystem(endpoint_override=host, scheme="http", region="us-east-1"))


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
