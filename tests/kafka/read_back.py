"""Reads topics by a client that is none of ours: `read_back.py BROKER TOPIC …` prints each record as a line of JSON, with the partition
that this client would have chosen for its key."""

import json
import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

consumer = KafkaConsumer(bootstrap_servers=sys.argv[1], enable_auto_commit=False)
for topic in sys.argv[2:]:
    parts = [TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(parts)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(parts)
    while any(consumer.position(part) < ends[part] for part in parts):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                line = {
                    "topic": topic,
                    "partition": record.partition,
                    "chosen": (murmur2(record.key) & 0x7FFFFFFF) % len(parts),
                    "key": record.key.decode(),
                    "headers": {name: value.decode() for name, value in record.headers},
                    "event": json.loads(record.value),
                }
                print(json.dumps(line))
