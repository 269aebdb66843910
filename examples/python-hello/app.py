"""Greets whoever the event or the request names."""

import json
import platform


def handler(event, context):
    http = event.get("requestContext", {}).get("http")
    who = (event.get("queryStringParameters") or {}) if http else event
    answer = {
        "message": "Hello, %s!" % who.get("name", "world"),
        "runtime": "Python " + platform.python_version(),
        "request": context.aws_request_id,
        "remainingMs": context.get_remaining_time_in_millis(),
    }
    print("greeting", who.get("name", "world"))
    if not http:
        return answer
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({**answer, "path": http["path"]}),
    }
