"""Weighs what makes needles fast, over one data file: our needle filter, binary fuse filters, Parquet's bloom
filters and a tantivy index, and asks each for words that are there once and words that are not there.

    filters.py LAKE SCRATCH

The file is the largest of those that compaction made in the folder LAKE.

Needs duckdb, pyfusefilter and tantivy from PyPI. Bloom filters are sized by the formula of the Parquet format
(split blocks, 1 % false), since no writer at hand makes them for every column; they know whole values only.
"""

import glob
import hashlib
import math
import os
import re
import shutil
import statistics
import sys
import time

import duckdb
import pyfusefilter
import tantivy

LAKE, SCRATCH = sys.argv[1:3]
FILE = max(glob.glob(f"{LAKE}/day=*/merged-*.parquet"), key=os.path.getsize)
FILTER = f"{LAKE}/_needles/{os.path.relpath(FILE, LAKE)}.needles"
BLOCK = 8192
WORD = re.compile(r"[a-z0-9]+")
QUAD = re.compile(r"(?<![0-9.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9.])")


def words(line):
    line = line.lower()
    found = {word for word in WORD.findall(line) if len(word) >= 5 or (len(word) >= 3 and not word.isdigit())}
    return found | set(QUAD.findall(line))


# The library hashes text in a way that newer versions of xxhash refuse.
sys.modules["pyfusefilter.pyfusefilter"].hash = lambda item: int.from_bytes(
    hashlib.blake2b(str(item).encode(), digest_size=8).digest(), "little"
)


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def median_us(work, items):
    times = []
    for item in items:
        start = time.perf_counter()
        work(item)
        times.append(1e6 * (time.perf_counter() - start))
    return statistics.median(times)


def bloom_bytes(distinct):
    if distinct == 0:
        return 0
    bits = -8 * distinct / math.log(1 - 0.01 ** (1 / 8))
    return max(32, 1 << math.ceil(math.log2(bits / 8)))


def main():
    connection = duckdb.connect()
    lines = [row[0] for row in connection.execute(f"SELECT raw FROM read_parquet('{FILE}')").fetchall()]
    table = os.path.getsize(FILE)
    print(f"file: {len(lines)} rows, {table} bytes; our filter {os.path.getsize(FILTER)} bytes, {100 * os.path.getsize(FILTER) / table:.0f} % of it")

    blocks = [set().union(*map(words, lines[at : at + BLOCK])) for at in range(0, len(lines), BLOCK)]
    counts = {}
    for block in blocks:
        for word in block:
            counts[word] = counts.get(word, 0) + 1
    rare = [word for word, count in counts.items() if count == 1][::997][:200]
    absent = [f"absent{number:06}" for number in range(200)]
    print(f"words: {len(counts)} distinct, {sum(counts.values())} with their blocks")

    filters = []
    for block in blocks:
        one = pyfusefilter.Fuse8(len(block))
        one.populate(list(block))
        filters.append(one)
    weight = sum(one.size_in_bytes() for one in filters)
    ask = lambda word: [number for number, one in enumerate(filters) if one.contains(word)]
    false = sum(len(ask(word)) for word in absent) / (len(absent) * len(filters))
    print(f"binary fuse, 8 bits, one a block: {weight} bytes, {100 * weight / table:.0f} %; a word in {median_us(ask, rare):.0f} us in memory (all {len(filters)} filters are read), {100 * false:.2f} % of blocks read in vain")

    columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM read_parquet('{FILE}')").fetchall() if row[1] == "VARCHAR" and row[0] != "raw"]
    weight = 0
    for column in columns:
        for (distinct,) in connection.execute(f"SELECT count(DISTINCT \"{column}\") FROM (SELECT \"{column}\", file_row_number // 131072 AS g FROM read_parquet('{FILE}', file_row_number = true)) GROUP BY g").fetchall():
            weight += bloom_bytes(distinct)
    print(f"Parquet bloom filters of {len(columns)} text columns: {weight} bytes, {100 * weight / table:.0f} %; no words of raw lines, no source fields, row groups of 131072 rows at a time")

    folder = os.path.join(SCRATCH, "tantivy")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("raw", stored=False, index_option="basic")
    builder.add_unsigned_field("row", stored=True)
    index = tantivy.Index(builder.build(), path=folder)
    writer = index.writer(200_000_000, 1)
    start = time.perf_counter()
    for row, line in enumerate(lines):
        writer.add_document(tantivy.Document(raw=line, row=row))
    writer.commit()
    writer.wait_merging_threads()
    took = time.perf_counter() - start
    index.reload()
    searcher = index.searcher()
    ask = lambda word: searcher.search(tantivy.Query.term_query(index.schema, "raw", word), 10)
    print(f"tantivy, words without places: {folder_bytes(folder)} bytes, {100 * folder_bytes(folder) / table:.0f} %; a word in {median_us(ask, rare):.0f} us; built in {took:.1f} s")


main()
