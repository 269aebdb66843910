"""A streamed response through boto3: run with the endpoint.

Debian's boto3 is older than the operation. It knows only what the service's
model says, so it gets the newest one.
"""
import io
import os
import shutil
import sys
import tempfile
import zipfile

with tempfile.TemporaryDirectory() as models:
    os.makedirs(models + "/lambda/2015-03-31")
    shutil.copy("../internal/api/lambda/testdata/lambda-service-2.json", models + "/lambda/2015-03-31/service-2.json")
    os.environ["AWS_DATA_PATH"] = models
    import boto3
    from botocore.config import Config

    client = boto3.client("lambda", endpoint_url=sys.argv[1], config=Config(retries={"max_attempts": 0}))
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as z:
    z.write("testdata/stream.py", "app.py")
client.create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", MemorySize=1769, Timeout=60,
                       Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": code.getvalue()})
client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})


def stream(payload):
    answer = client.invoke_with_response_stream(FunctionName="f", Payload=payload, LogType="Tail")
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream", answer
    events = list(answer["EventStream"])
    assert "InvokeComplete" in events[-1], events[-1]
    return b"".join(e["PayloadChunk"]["Payload"] for e in events[:-1]), events[-1]["InvokeComplete"]


body, end = stream(b'{"mb": 3}')
assert body.startswith(b"first,xxx") and len(body) > 3 << 20, body[:100]
assert "ErrorCode" not in end and end["LogResult"], end
body, end = stream(b'{"fail": "mid"}')
assert body == b"first," and end["ErrorCode"] == "Unhandled" and '"errorMessage": "mid"' in end["ErrorDetails"], end
assert client.invoke_with_response_stream(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
url = client.create_function_url_config(FunctionName="f", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
assert client.get_function_url_config(FunctionName="f")["InvokeMode"] == "RESPONSE_STREAM"
assert client.update_function_url_config(FunctionName="f", InvokeMode="BUFFERED")["InvokeMode"] == "BUFFERED"
print("ok")
