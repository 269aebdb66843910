# Drives the operations on event source mappings with boto3.
import io, sys, zipfile
import boto3
from botocore.config import Config

config = Config(retries={"max_attempts": 0})
fn = boto3.client("lambda", endpoint_url=sys.argv[1], config=config)
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], config=config)


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def refused(code, f, **args):
    try:
        f(**args)
    except fn.exceptions.ClientError as e:
        expect("code", e.response["Error"]["Code"], code)
    else:
        sys.exit(f"{code} was expected")


code = io.BytesIO()
with zipfile.ZipFile(code, "w") as z:
    z.writestr("app.py", "def handler(event, context):\n    return None\n")
for name in ("f", "g"):
    fn.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role="arn:aws:iam::000000000000:role/r",
                       Code={"ZipFile": code.getvalue()}, Environment={"Variables": {"NATS": "token"}})
    fn.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
for name in ("q", "failed"):
    sqs.create_queue(QueueName=name)
queue, failed = "arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sqs:us-east-1:000000000000:failed"
server = "arn:aws-millicent:nats:::nats://nats.example.com:4222/"
access = [{"Type": "BASIC_AUTH", "URI": "NATS"}]
sources = {
    queue: dict(FunctionResponseTypes=["ReportBatchItemFailures"]),
    server + "stream/ORDERS/orders.*": dict(
        StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1700000000, SourceAccessConfigurations=access, MaximumRetryAttempts=2,
        MaximumRecordAgeInSeconds=60, BisectBatchOnFunctionError=True, ParallelizationFactor=2, FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig={"OnFailure": {"Destination": failed}}),
    server + "orders.>": dict(SourceAccessConfigurations=access),
    "arn:aws-millicent:nats:::results.*": {},
}
for source, more in sources.items():
    made = fn.create_event_source_mapping(
        FunctionName="f", EventSourceArn=source, BatchSize=20, MaximumBatchingWindowInSeconds=1, Enabled=False,
        FilterCriteria={"Filters": [{"Pattern": '{"body":["x"]}' if source == queue else '{"data":["x"]}'}]}, **more)
    uuid = made["UUID"]
    arn = "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + uuid
    refused("ResourceConflictException", fn.create_event_source_mapping, FunctionName="f", EventSourceArn=source, **more)
    got = fn.get_event_source_mapping(UUID=uuid)
    expect("state", got["State"], "Disabled")
    for key, value in more.items():
        if key == "StartingPositionTimestamp":
            expect(key, got[key].timestamp(), value)
        else:
            expect(key, got[key], value)
    expect("list", [m["UUID"] for m in fn.list_event_source_mappings(EventSourceArn=source)["EventSourceMappings"]], [uuid])
    fn.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    fn.untag_resource(Resource=arn, TagKeys=["a"])
    expect("tags", fn.list_tags(Resource=arn)["Tags"], {"b": "2"})
    updated = fn.update_event_source_mapping(UUID=uuid, FunctionName="g", BatchSize=5, FilterCriteria={})
    expect("updated", (updated["BatchSize"], updated["FunctionArn"].split(":")[-1], updated.get("FilterCriteria")), (5, "g", None))
    expect("deleted", fn.delete_event_source_mapping(UUID=uuid)["State"], "Deleting")
    refused("ResourceNotFoundException", fn.get_event_source_mapping, UUID=uuid)
    refused("ResourceNotFoundException", fn.list_tags, Resource=arn)
for source, more in (
    (queue, dict(DestinationConfig={"OnFailure": {"Destination": failed}})), (queue, dict(BisectBatchOnFunctionError=True)),
    (server + "stream/ORDERS", {}), (server + "stream/ORDERS", dict(StartingPosition="LATEST", MaximumRecordAgeInSeconds=1)),
    (server + "orders", dict(MaximumRetryAttempts=1)),
):
    refused("InvalidParameterValueException", fn.create_event_source_mapping, FunctionName="f", EventSourceArn=source, **more)
print("ok")
