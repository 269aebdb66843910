# Sends what it gets from one queue to another, with the time it ran at.
import http.client
import json
import os
import time

address = os.environ["AWS_ENDPOINT_URL"].split("//")[1]
connection = http.client.HTTPConnection(address)


def handler(event, context):
    now = time.time_ns()
    entries = [
        {"Id": str(i), "MessageBody": f"{r['body']} {now}"} for i, r in enumerate(event["Records"])
    ]
    connection.request(
        "POST",
        "/",
        json.dumps({"QueueUrl": "/000000000000/out", "Entries": entries}),
        {"X-Amz-Target": "AmazonSQS.SendMessageBatch", "Content-Type": "application/x-amz-json-1.0"},
    )
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(answer.status)
