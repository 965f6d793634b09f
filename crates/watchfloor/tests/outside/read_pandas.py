"""Reads a lake with pandas: a folder, or s3://bucket/prefix.

Prints JSON: rows, rows by source, and the rows of one user.
"""

import json
import sys

from deltalake import DeltaTable

root, user = sys.argv[1], sys.argv[2]
store = {"AWS_ENDPOINT_URL": sys.argv[3], "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"} if root.startswith("s3://") else None
events = DeltaTable(root, storage_options=store).to_pandas(columns=["class_uid", "source", "user_name", "raw"])
events = events[events.class_uid != 2004]  # findings stand in the same table
print(
    json.dumps(
        {
            "rows": len(events),
            "sources": events.groupby("source").size().to_dict(),
            "user": [[raw] for raw in events[events.user_name == user].raw],
        }
    )
)
