"""A function's life through boto3: run with the endpoint and a zip's path."""
import io
import json
import sys
import zipfile

import boto3
from botocore.config import Config

endpoint = sys.argv[1]


def package(body):
    buf = io.BytesIO()
    with zipfile.ZipFile(buf, "w") as z:
        z.writestr("app.py", body)
    return buf.getvalue()


client = boto3.client("lambda", endpoint_url=endpoint, config=Config(retries={"max_attempts": 0}))
one = package("def handler(event, context):\n    return {'one': event}\n")
two = package("def handler(event, context):\n    return {'two': context.function_version}\n")

created = client.create_function(
    FunctionName="life", Runtime="python3.11", Handler="app.handler",
    Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": one}, Tags={"team": "a"},
)
assert created["State"] == "Pending", created["State"]
client.get_waiter("function_active_v2").wait(FunctionName="life")

answer = client.invoke(FunctionName="life", Payload=json.dumps({"n": 1}), LogType="Tail")
assert answer["StatusCode"] == 200 and "FunctionError" not in answer, answer
assert json.load(answer["Payload"]) == {"one": {"n": 1}}
assert answer["LogResult"]

client.update_function_code(FunctionName="life", ZipFile=two)
client.get_waiter("function_updated_v2").wait(FunctionName="life")
assert json.load(client.invoke(FunctionName="life")["Payload"]) == {"two": "$LATEST"}

version = client.publish_version(FunctionName="life", Description="first")
assert version["Version"] == "1", version["Version"]
client.get_waiter("function_active_v2").wait(FunctionName="life", Qualifier="1")
client.create_alias(FunctionName="life", Name="live", FunctionVersion="1")
answer = client.invoke(FunctionName="life:live")
assert json.load(answer["Payload"]) == {"two": "1"} and answer["ExecutedVersion"] == "1", answer

client.update_function_configuration(FunctionName="life", Timeout=7, MemorySize=256)
client.get_waiter("function_updated_v2").wait(FunctionName="life")
config = client.get_function_configuration(FunctionName="life")
assert (config["Timeout"], config["MemorySize"]) == (7, 256), config

pages = client.get_paginator("list_versions_by_function").paginate(FunctionName="life", PaginationConfig={"PageSize": 1})
assert [v["Version"] for page in pages for v in page["Versions"]] == ["$LATEST", "1"]

client.put_function_concurrency(FunctionName="life", ReservedConcurrentExecutions=0)
try:
    client.invoke(FunctionName="life")
    raise SystemExit("an invocation beyond the reserved concurrency went through")
except client.exceptions.TooManyRequestsException as e:
    assert e.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded", e.response
client.delete_function_concurrency(FunctionName="life")

assert client.list_tags(Resource=created["FunctionArn"])["Tags"] == {"team": "a"}
client.delete_alias(FunctionName="life", Name="live")
client.delete_function(FunctionName="life")
try:
    client.get_function(FunctionName="life")
    raise SystemExit("the deleted function is still there")
except client.exceptions.ResourceNotFoundException:
    pass
print("ok")
