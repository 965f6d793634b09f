"""Writes events of the shapes of demo/background.ndjson.gz with a seed: the same seed, the same bytes.

    generate.py EVENTS FOLDER

Names, addresses, hashes and numbers of each line are drawn anew: few hosts and users speak often, most
rarely, as in real networks. Every hundred thousand events one line holds a needle: an address, a hash, a user
and a word that stand nowhere else. They are printed as JSON.
"""

import gzip
import json
import os
import random
import re
import sys
from datetime import datetime, timedelta, timezone

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
START = datetime(2026, 11, 16, tzinfo=timezone.utc)
SPAN_SECONDS = 5 * 86_400
NEEDLE_EVERY = 100_000

HOST = re.compile(r"ws-0\d\d")
ADDRESS = re.compile(r"\b(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}\b")
INNER = re.compile(r"\b10\.20\.\d{1,3}\.\d{1,3}\b")
HASH = re.compile(r"\b[0-9A-Fa-f]{64}\b|\b[0-9A-Fa-f]{32}\b")
NUMBER = re.compile(r'("(?:EventRecordID|ProcessId|ProcessID|ThreadID|SourcePort|src_port|flow_id|#text)":"?)\d{3,}')
GUID = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")


def templates():
    by_format = {"json": [], "syslog": [], "access-log": []}
    with gzip.open(os.path.join(ROOT, "demo", "background.ndjson.gz"), "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["format"] in by_format:
                by_format[record["format"]].append(record["line"])
    return by_format


def rare(rng, count):
    """A number below a count; small ones come often."""
    return min(int(rng.paretovariate(0.6)) - 1, count - 1)


def filled(rng, line, time):
    micros = time.microsecond
    stamps = {
        "{{windows}}": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{micros:06}0Z",
        "{{iso_ms}}": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{micros // 1000:03}Z",
        "{{iso}}": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "{{rfc3164}}": time.strftime("%b %e %H:%M:%S"),
        "{{clf}}": time.strftime("%d/%b/%Y:%H:%M:%S +0000"),
    }
    for name, stamp in stamps.items():
        line = line.replace(name, stamp)
    line = HOST.sub(lambda _: f"ws-{rare(rng, 2000):04}", line)
    line = ADDRESS.sub(lambda _: f"{rng.choice((45, 91, 185))}.{rare(rng, 250)}.{rng.randrange(256)}.{rng.randrange(1, 255)}", line)
    line = INNER.sub(lambda _: f"10.20.{rare(rng, 200)}.{rng.randrange(1, 255)}", line)
    line = HASH.sub(lambda found: f"{rare(rng, 50_000) * 0x9E3779B97F4A7C15:0{len(found[0])}x}"[-len(found[0]):], line)
    line = NUMBER.sub(lambda found: found[1] + str(rng.randrange(1000, 10_000_000)), line)
    return GUID.sub(lambda _: f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}-{rng.getrandbits(16):04x}-{rng.getrandbits(48):012x}", line)


def needle(number, time):
    """A sign-in that stands once in all the events."""
    stamp = time.strftime("%b %e %H:%M:%S")
    names = {
        "address": f"172.31.{number % 256}.{number // 256 + 7}",
        "user": f"mallory{number:05}",
        "hash": f"{(number + 1) * 0xD1B54A32D192ED03:064x}"[-64:],
        "word": f"zanzibar{number:05}",
    }
    line = (
        f"<86>{stamp} db-01 sshd[4242]: Accepted publickey for {names['user']} from {names['address']} port 50022 "
        f"ssh2: ED25519 SHA256:{names['hash']} comment {names['word']}"
    )
    return names, line


def main():
    count, folder = int(sys.argv[1]), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(20261116)
    by_format = templates()
    pool = [(name, line) for name, lines in by_format.items() for line in lines]
    files = {name: open(os.path.join(folder, f"{name}.log"), "w") for name in by_format}
    needles, raw = [], 0
    for number in range(count):
        time = START + timedelta(seconds=SPAN_SECONDS * number / count)
        if number % NEEDLE_EVERY == NEEDLE_EVERY // 2:
            names, line = needle(number // NEEDLE_EVERY, time)
            needles.append(names)
            name = "syslog"
        else:
            name, line = rng.choice(pool)
            line = filled(rng, line, time)
        files[name].write(line + "\n")
        raw += len(line) + 1
    for file in files.values():
        file.close()
    json.dump({"events": count, "raw_bytes": raw, "needles": needles}, sys.stdout)


main()
