# Drives the queues with boto3, which checks the MD5s of what it gets.
import sys, time
import boto3
from botocore.config import Config

sqs = boto3.client("sqs", endpoint_url=sys.argv[1], config=Config(retries={"max_attempts": 0}))


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def refused(code, f, **args):
    try:
        f(**args)
    except sqs.exceptions.ClientError as e:
        expect("code", e.response["Error"]["Code"], code)
    else:
        sys.exit(f"{code} was expected")


dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
dead_arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "60"}, tags={"team": "a"})["QueueUrl"]
expect("URL", sqs.get_queue_url(QueueName="q")["QueueUrl"], url)
expect("again", sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "60"})["QueueUrl"], url)
refused("QueueAlreadyExists", sqs.create_queue, QueueName="q", Attributes={"VisibilityTimeout": "61"})
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="none")
sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": '{"deadLetterTargetArn":"%s","maxReceiveCount":1}' % dead_arn})
expect("sources", sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [url])
expect("queues", sqs.list_queues(QueueNamePrefix="d")["QueueUrls"], [dead])
sqs.tag_queue(QueueUrl=url, Tags={"env": "test"})
sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
expect("tags", sqs.list_queue_tags(QueueUrl=url)["Tags"], {"env": "test"})

attributes = {"text": {"DataType": "String", "StringValue": "ü"}, "bytes": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
sent = sqs.send_message(QueueUrl=url, MessageBody="héllo", MessageAttributes=attributes)
got = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"], WaitTimeSeconds=5)["Messages"][0]
expect("body", (got["Body"], got["MessageId"]), ("héllo", sent["MessageId"]))
expect("attributes", got["MessageAttributes"], attributes)
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=0)
expect("a second time", sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), None)
got = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"], WaitTimeSeconds=5)["Messages"][0]
expect("dead letter", (got["Body"], got["Attributes"]["DeadLetterQueueSourceArn"]), ("héllo", dead_arn.replace("dead", "q")))
sqs.delete_message(QueueUrl=dead, ReceiptHandle=got["ReceiptHandle"])

sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
sent = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": f"m{i}"} for i in range(10)])
expect("sent", len(sent["Successful"]), 10)
bodies = []
while len(bodies) < 10:
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    entries = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
    expect("hidden", len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=[{**e, "VisibilityTimeout": 90} for e in entries])["Successful"]), len(entries))
    expect("deleted", len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]), len(entries))
    bodies += [m["Body"] for m in messages]
expect("bodies", sorted(bodies), [f"m{i}" for i in range(10)])

fifo = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
for i in range(3):
    for _ in range(2):
        sqs.send_message(QueueUrl=fifo, MessageBody=str(i), MessageGroupId="g", MessageDeduplicationId=str(i))
expect("order", [m["Body"] for m in sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10)["Messages"]], ["0", "1", "2"])
sqs.purge_queue(QueueUrl=fifo)
expect("purged", sqs.get_queue_attributes(QueueUrl=fifo, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])["Attributes"], {"ApproximateNumberOfMessagesNotVisible": "0"})

sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=1)
expect("delayed", sqs.receive_message(QueueUrl=url).get("Messages"), None)
begin = time.monotonic()
expect("after its delay", sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]["Body"], "later")
if time.monotonic() - begin > 15:
    sys.exit("a long poll slept through a message's arrival")
for u in (url, fifo, dead):
    sqs.delete_queue(QueueUrl=u)
expect("queues", sqs.list_queues().get("QueueUrls"), None)
print("ok")
