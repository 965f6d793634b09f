"""Answers SQL queries over the events of a lake with DuckDB.

    answer_duckdb.py ROOT QUERIES

QUERIES is a JSON list of texts in which the table is called events. Prints a JSON list of lists of rows.
"""

import json
import sys

import duckdb
from live_files import live_files

root, queries = sys.argv[1], sys.argv[2]
files = f"read_parquet({live_files(root)}, hive_partitioning = true, union_by_name = true)"
duckdb.sql(f"create table events as select * exclude (time), epoch_us(time) as time_us from {files} where class_uid <> 2004")
with open(queries) as file:
    answers = [duckdb.sql(query).fetchall() for query in json.load(file)]
print(json.dumps(answers, default=str))
