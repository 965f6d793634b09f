"""Queries on 0, 1, 2 and 4 workers over an S3-compatible server (moto), all processes of this machine.

    cluster.py PROGRAM TEXTS FOLDER

TEXTS holds the events of generate.py. Prints a table: time of large and small queries, processor seconds of the
server and of each worker, and what became of queries while a worker was killed. Answers must be those of the server alone.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

PROGRAM, TEXTS, FOLDER = sys.argv[1:4]
FORMATS = ("json", "syslog", "access-log")
LARGE = [
    "events | summarize n = count() by kind | sort by n desc, kind asc",
    "events | summarize n = dcount(user_name) by device_hostname | sort by n desc, device_hostname asc | take 50",
    "events | summarize n = count(), bytes = sum(strlen(raw)) by bin(time, 1h), class_uid | sort by time asc, class_uid asc",
]
SMALL = [
    "events | where time > ago(1s) | count",
    "events | where raw has 'nosuchword77' | count",
]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "watchfloor", "AWS_SECRET_ACCESS_KEY": "bench"}
ENVIRONMENT = {**os.environ, **CREDENTIALS}
running = []


def start(arguments, ready=True):
    with open(f"{FOLDER}/log", "a") as log:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT, text=True)
    running.append(process)
    if not ready:
        return process, None
    line = process.stdout.readline().strip()
    assert line.startswith("ready "), line
    return process, line.removeprefix("ready ")


def stop(process):
    process.terminate()
    process.wait()


def seconds(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bucket():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], ready=False)
    endpoint = f"http://127.0.0.1:{port}"
    for _ in range(100):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/soc", method="PUT"))
            return endpoint
        except OSError:
            time.sleep(0.1)
    raise SystemExit("moto does not start")


def certificates():
    for arguments in (
        ["authority", "--out", f"{FOLDER}/authority"],
        ["certificate", "--authority", f"{FOLDER}/authority", "--name", "127.0.0.1", "--out", f"{FOLDER}/node"],
    ):
        subprocess.run([PROGRAM, "cluster", *arguments], check=True, stdout=subprocess.DEVNULL)


def configure(endpoint, workers):
    text = f"""syslog = "off"
[lake]
location = "s3://soc/lake"
[lake.storage]
endpoint = "{endpoint}"
region = "us-east-1"
allow_http = "true"
[cluster]
workers = {json.dumps(workers)}
authority = "{FOLDER}/node/authority.pem"
certificate = "{FOLDER}/node/node.pem"
key = "{FOLDER}/node/node.key"
bytes_per_worker = {8 << 20}
"""
    path = f"{FOLDER}/watchfloor.toml"
    with open(path, "w") as file:
        file.write(text)
    return path


def serve(endpoint, workers):
    server, url = start([PROGRAM, "serve", "--config", configure(endpoint, workers), "--data", f"{FOLDER}/data", "--listen", "127.0.0.1:0"])
    token = subprocess.run(
        [PROGRAM, "admin", "token", "--scope", "admin", "--data", f"{FOLDER}/data"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return server, url, token


def ask(url, token, query):
    body = {"query": query, "from": "2026-11-01T00:00:00Z", "to": "2026-12-31T00:00:00Z", "limit": 1000}
    request = urllib.request.Request(
        f"{url}/api/v1/query",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    begin = time.monotonic()
    with urllib.request.urlopen(request) as answer:
        rows = json.load(answer)["rows"]
    return time.monotonic() - begin, rows


def times(url, token, queries, rounds):
    found = []
    for query in queries:
        ask(url, token, query)
        found.append(statistics.median(ask(url, token, query)[0] for _ in range(rounds)))
    return found


def kill_one(url, token, workers, wanted):
    """Asks while a worker is killed: how many answers came, and how many were wrong."""
    threading.Timer(0.3, workers[0].kill).start()
    answers, end = [], time.monotonic() + 5
    while time.monotonic() < end:
        answers.append(ask(url, token, LARGE[0])[1] == wanted)
    return f"{len(answers)} asked, {answers.count(False)} wrong or lost"


def fill(endpoint):
    server, _, _ = serve(endpoint, [])
    for name in FORMATS:
        subprocess.run(
            [PROGRAM, "import", "--format", name, "--data", f"{FOLDER}/data", f"{TEXTS}/{name}.log"], check=True, stdout=subprocess.DEVNULL
        )
    deadline = time.monotonic() + 600
    rows = -1
    while time.monotonic() < deadline:
        time.sleep(7)
        known = subprocess.run([PROGRAM, "lake", "stats", "--data", f"{FOLDER}/data"], env=ENVIRONMENT, capture_output=True, text=True).stdout
        if json.loads(known)["rows"] == rows:
            print("events and findings in the bucket:", known.strip())
            break
        rows = json.loads(known)["rows"]
    stop(server)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    endpoint = bucket()
    certificates()
    fill(endpoint)
    wanted = None
    for count in (0, 1, 2, 4):
        node = f"{FOLDER}/node"
        names = [f"--{name}={node}/{file}" for name, file in (("authority", "authority.pem"), ("certificate", "node.pem"), ("key", "node.key"))]
        started = [start([PROGRAM, "cluster", "worker", "--listen", "127.0.0.1:0", *names]) for _ in range(count)]
        workers = [process for process, _ in started]
        server, url, token = serve(endpoint, [address for _, address in started])
        answers = [ask(url, token, query)[1] for query in LARGE]
        wanted = wanted or answers
        before = [seconds(process) for process in (server, *workers)]
        large = times(url, token, LARGE, 3)
        spent = [seconds(process) - was for process, was in zip((server, *workers), before)]
        small = times(url, token, SMALL, 11)
        print(
            f"{count} workers: answers {'right' if answers == wanted else 'WRONG'};",
            "large", " ".join(f"{1000 * one:.0f}" for one in large), "ms;",
            "small", " ".join(f"{1000 * one:.0f}" for one in small), "ms;",
            "processor seconds, server first:", " ".join(f"{one:.2f}" for one in spent),
        )
        if count > 1:
            print("  one worker killed meanwhile:", kill_one(url, token, workers, wanted[0]))
        for process in (server, *workers):
            if process.poll() is None:
                stop(process)


try:
    main()
finally:
    for process in running:
        process.kill()
