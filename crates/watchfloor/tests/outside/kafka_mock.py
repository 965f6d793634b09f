"""Kafka brokers for tests: the mock cluster that librdkafka carries.

Prints the brokers' addresses, then obeys lines of standard input:
`produce TOPIC FIRST COUNT CODEC` answers `done` when the brokers have all records;
`consume TOPIC COUNT` answers `got N M` when COUNT different records came or 30 s are over: N in all, M different.
"""

import sys
import time

from confluent_kafka import Consumer, Producer

MOCK = {"bootstrap.servers": "", "test.mock.num.brokers": 3}
cluster = Producer(MOCK)
brokers = cluster.list_topics(timeout=20).brokers.values()
addresses = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
print(addresses, flush=True)



def consume(topic, count):
    reader = Consumer(
        {"bootstrap.servers": addresses, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    reader.subscribe([topic])
    values, end = [], time.monotonic() + 30
    while len(set(values)) < count and time.monotonic() < end:
        message = reader.poll(0.5)
        if message is not None and not message.error():
            values.append(message.value())
    reader.close()
    print(f"got {len(values)} {len(set(values))}", flush=True)


for line in sys.stdin:
    word, topic, *rest = line.split()
    if word == "consume":
        consume(topic, int(rest[0]))
        continue
    assert word == "produce", line
    first, count, codec = rest
    sender = Producer({"bootstrap.servers": addresses, "compression.type": codec, "linger.ms": 5})
    failed = []

    def told(error, _message):
        if error is not None:
            failed.append(str(error))

    for number in range(int(first), int(first) + int(count)):
        value = '{"sender":"%s","number":%d,"pad":"%s"}' % (topic, number, "x" * 200)
        sender.produce(topic, value.encode(), key=str(number).encode(), on_delivery=told)
        sender.poll(0)
    rest = sender.flush(60)
    print("done" if not failed and rest == 0 else f"failed {failed[:1]} {rest}", flush=True)
