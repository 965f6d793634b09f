"""Objects and notifications for tests, against moto.

s3_feed.py ENDPOINT put BUCKET KEY FILE      puts an object
s3_feed.py ENDPOINT queue NAME               makes a queue, prints its address
s3_feed.py ENDPOINT tell URL BUCKET KEY      tells of an object as S3 does
s3_feed.py ENDPOINT say URL TEXT             puts any text into a queue
s3_feed.py ENDPOINT waiting URL              prints how many messages wait or are being worked on
"""

import json
import sys
import urllib.parse

import boto3

endpoint, word, *rest = sys.argv[1:]
options = dict(
    endpoint_url=endpoint, region_name="us-east-1",
    aws_access_key_id="watchfloor", aws_secret_access_key="test",
)
if word == "put":
    bucket, key, path = rest
    with open(path, "rb") as file:
        boto3.client("s3", **options).put_object(Bucket=bucket, Key=key, Body=file.read())
elif word == "queue":
    print(boto3.client("sqs", **options).create_queue(QueueName=rest[0])["QueueUrl"])
elif word == "tell":
    url, bucket, key = rest
    body = {"Records": [{"eventName": "ObjectCreated:Put", "s3": {
        "bucket": {"name": bucket}, "object": {"key": urllib.parse.quote_plus(key, safe="/")}}}]}
    boto3.client("sqs", **options).send_message(QueueUrl=url, MessageBody=json.dumps(body))
elif word == "say":
    boto3.client("sqs", **options).send_message(QueueUrl=rest[0], MessageBody=rest[1])
elif word == "waiting":
    found = boto3.client("sqs", **options).get_queue_attributes(
        QueueUrl=rest[0],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"])
    print(sum(int(value) for value in found["Attributes"].values()))
