"""Ten clients that search without pause until standard input ends; prints how many answers came.

    searchers.py URL TOKEN
"""

import json
import sys
import threading
import urllib.request

URL, TOKEN = sys.argv[1:3]
FROM, TO = "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"
QUERIES = [
    ("/api/v1/query", "events | summarize n = count() by kind | sort by n desc"),
    ("/api/v1/query", "SELECT device_hostname, count(DISTINCT user_name) AS n FROM events GROUP BY 1 ORDER BY n DESC LIMIT 10"),
    ("/api/v1/query", "SELECT src_endpoint_ip, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC LIMIT 10"),
    ("/api/v1/search", "powershell"),
    ("/api/v1/search", "user.name:nobody-of-that-name"),
]
ended = threading.Event()
answers = [0] * 10


def search(number):
    turn = number
    while not ended.is_set():
        path, query = QUERIES[turn % len(QUERIES)]
        body = {"query": query, "from": FROM, "to": TO, "limit": 50}
        request = urllib.request.Request(
            URL + path,
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()
        answers[number] += 1
        turn += 1


threads = [threading.Thread(target=search, args=(number,), daemon=True) for number in range(len(answers))]
for thread in threads:
    thread.start()
sys.stdin.read()
ended.set()
print(sum(answers))
