"""A function that streams its response."""
import os
import time

block = b"x" * (1 << 20)


def handler(event, context):
    event = event.get("queryStringParameters", event)
    fail = event.get("fail")
    if fail == "early":
        raise ValueError("early")
    if event.get("status"):
        headers = {"x-a": "b", "content-type": "text/html"}
        yield {"statusCode": event["status"], "headers": headers, "cookies": ["c=1", "d=2"]}
    yield "first,"
    if fail == "mid":
        raise ValueError("mid")
    if fail == "exit":
        os._exit(3)
    if fail == "hang":
        time.sleep(60)
    for _ in range(int(event.get("mb", 0))):
        yield block
    print("wrote it all")
    yield ",%d" % (time.time() * 1000)
