# Drives event invoke configurations and asynchronous events with boto3.
import io, json, sys, time, zipfile
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


def receive(url):
    for _ in range(6):
        for m in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"]).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
            return m
    sys.exit("no message came")


code = io.BytesIO()
with zipfile.ZipFile(code, "w") as z:
    z.writestr("app.py", "def handler(event, context):\n    return 1 / event['by']\n")
dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
done = sqs.create_queue(QueueName="done")["QueueUrl"]
arn = "arn:aws:sqs:us-east-1:000000000000:"
fn.create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", Role="arn:aws:iam::000000000000:role/r",
                   MemorySize=512, Code={"ZipFile": code.getvalue()}, DeadLetterConfig={"TargetArn": arn + "dead"}, Publish=True)
fn.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
fn.create_alias(FunctionName="f", Name="live", FunctionVersion="1")

put = fn.put_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumRetryAttempts=0,
                                          DestinationConfig={"OnSuccess": {"Destination": arn + "done"}})
expect("put", put["DestinationConfig"], {"OnSuccess": {"Destination": arn + "done"}, "OnFailure": {}})
updated = fn.update_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumEventAgeInSeconds=60)
expect("updated", (updated["MaximumRetryAttempts"], updated["MaximumEventAgeInSeconds"]), (0, 60))
got = fn.get_function_event_invoke_config(FunctionName="f", Qualifier="live")
expect("ARN", got["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:live")
if abs(time.time() - got["LastModified"].timestamp()) > 600:
    sys.exit(f"modified at {got['LastModified']}")
expect("list", len(fn.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]), 1)
refused("ResourceNotFoundException", fn.get_function_event_invoke_config, FunctionName="f")
refused("InvalidParameterValueException", fn.put_function_event_invoke_config, FunctionName="f")

expect("status", fn.invoke(FunctionName="f:live", InvocationType="Event", Payload=b'{"by": 2}')["StatusCode"], 202)
record = json.loads(receive(done)["Body"])
expect("record", (record["requestContext"]["condition"], record["responsePayload"], record["responseContext"]["executedVersion"]), ("Success", 0.5, "1"))
fn.invoke(FunctionName="f:live", InvocationType="Event", Payload=b'{"by": 0}')
letter = receive(dead)
expect("dead letter", (letter["Body"], letter["MessageAttributes"]["ErrorMessage"]["StringValue"]), ('{"by": 0}', "division by zero"))
fn.invoke(FunctionName="f:live", InvocationType="Event", Payload=b'{"by": 1, "pad": "' + b"x" * 900000 + b'"}')
expect("large", len(json.loads(receive(done)["Body"])["requestPayload"]["pad"]), 900000)

fn.delete_function_event_invoke_config(FunctionName="f", Qualifier="live")
refused("ResourceNotFoundException", fn.delete_function_event_invoke_config, FunctionName="f", Qualifier="live")
print("ok")
