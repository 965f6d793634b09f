"""Reads a lake with Sail, which speaks Spark's protocol: Delta tables in a folder or bucket.

Prints JSON: rows, rows by source, and the rows of one user.
"""

import json
import sys

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

root, user = sys.argv[1], sys.argv[2]
server = SparkConnectServer()
server.start(background=True)
_, port = server.listening_address
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
events = spark.read.format("delta").load(root)
events = events.filter(events.class_uid != 2004)  # findings stand in the same table
sources = events.groupBy("source").count().collect()
found = events.filter(events.user_name == user).select("raw").collect()
print(
    json.dumps(
        {
            "rows": events.count(),
            "sources": {row["source"]: row["count"] for row in sources},
            "user": [[row["raw"]] for row in found],
        }
    )
)
spark.stop()
server.stop()
