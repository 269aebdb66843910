# Drives schedules with boto3: every operation, and a queue as a target.
import datetime, json, sys, time
import boto3
from botocore.config import Config

config = Config(retries={"max_attempts": 0})
scheduler = boto3.client("scheduler", endpoint_url=sys.argv[1], config=config)
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], config=config)
role = "arn:aws:iam::000000000000:role/any"


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def refused(code, status, f, **args):
    try:
        f(**args)
    except scheduler.exceptions.ClientError as e:
        expect("code", (e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]), (code, status))
        return e.response["Error"]["Message"]
    sys.exit(f"{code} was expected")


url = sqs.create_queue(QueueName="q")["QueueUrl"]
queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
target = {"Arn": queue, "RoleArn": role, "Input": "hello <aws.scheduler.attempt-number>"}
off = {"Mode": "OFF"}

group = scheduler.create_schedule_group(Name="jobs", ClientToken="t1", Tags=[{"Key": "team", "Value": "a"}])["ScheduleGroupArn"]
expect("group", group, "arn:aws:scheduler:us-east-1:000000000000:schedule-group/jobs")
expect("same token", scheduler.create_schedule_group(Name="jobs", ClientToken="t1")["ScheduleGroupArn"], group)
refused("ConflictException", 409, scheduler.create_schedule_group, Name="jobs")
expect("state", scheduler.get_schedule_group(Name="jobs")["State"], "ACTIVE")
refused("ResourceNotFoundException", 404, scheduler.get_schedule_group, Name="none")
expect("groups", [g["Name"] for g in scheduler.list_schedule_groups()["ScheduleGroups"]], ["default", "jobs"])
scheduler.tag_resource(ResourceArn=group, Tags=[{"Key": "env", "Value": "test"}])
scheduler.untag_resource(ResourceArn=group, TagKeys=["team"])
expect("tags", scheduler.list_tags_for_resource(ResourceArn=group)["Tags"], [{"Key": "env", "Value": "test"}])

arn = scheduler.create_schedule(
    Name="night", GroupName="jobs", ScheduleExpression="cron(0 3 ? * MON-FRI *)", ScheduleExpressionTimezone="Europe/Berlin",
    FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, Description="d", State="DISABLED", ClientToken="t2",
    StartDate=datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc), Target={**target, "RetryPolicy": {"MaximumRetryAttempts": 3}},
)["ScheduleArn"]
expect("ARN", arn, "arn:aws:scheduler:us-east-1:000000000000:schedule/jobs/night")
got = scheduler.get_schedule(Name="night", GroupName="jobs")
expect("expression", (got["ScheduleExpression"], got["ScheduleExpressionTimezone"], got["State"]), ("cron(0 3 ? * MON-FRI *)", "Europe/Berlin", "DISABLED"))
expect("policy", got["Target"]["RetryPolicy"], {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 3})
expect("start", got["StartDate"].timestamp(), 4102444800.0)
expect("window", got["FlexibleTimeWindow"], {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15})
scheduler.update_schedule(Name="night", GroupName="jobs", ScheduleExpression="rate(2 hours)", FlexibleTimeWindow=off, State="DISABLED", Target=target)
got = scheduler.get_schedule(Name="night", GroupName="jobs")
expect("after the update", ("StartDate" in got, "Description" in got, got["ScheduleExpressionTimezone"], got["Target"]["RetryPolicy"]["MaximumRetryAttempts"]), (False, False, "UTC", 185))
refused("ResourceNotFoundException", 404, scheduler.get_schedule, Name="night")
refused("ResourceNotFoundException", 404, scheduler.update_schedule, Name="none", ScheduleExpression="rate(2 hours)", FlexibleTimeWindow=off, Target=target)
refused("ResourceNotFoundException", 404, scheduler.create_schedule, Name="x", GroupName="none", ScheduleExpression="rate(2 hours)", FlexibleTimeWindow=off, Target=target)
refused("ValidationException", 400, scheduler.create_schedule, Name="x", ScheduleExpression="rate(2 weeks)", FlexibleTimeWindow=off, Target=target)
refused("ValidationException", 400, scheduler.create_schedule, Name="x", ScheduleExpression="rate(2 days)", ScheduleExpressionTimezone="Mars/Olympus", FlexibleTimeWindow=off, Target=target)
refused("ValidationException", 400, scheduler.create_schedule, Name="x", ScheduleExpression="rate(2 days)", FlexibleTimeWindow=off, Target={**target, "Arn": queue.replace("000000000000", "000000000001")})
message = refused("ValidationException", 400, scheduler.create_schedule, Name="a b", ScheduleExpression="rate(2 days)", FlexibleTimeWindow=off, Target=target)
expect("message", message, "1 validation error detected: Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$")

# A rate begins at once; at() comes when it is due.
scheduler.create_schedule(Name="often", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow=off, Target=target)
due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
scheduler.create_schedule(Name="once", ScheduleExpression=due.strftime("at(%Y-%m-%dT%H:%M:%S)"), FlexibleTimeWindow=off,
                          Target={**target, "Input": "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time>"})
bodies = []
while len(bodies) < 2:
    for m in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MaxNumberOfMessages=10).get("Messages") or sys.exit(f"only {bodies} came"):
        bodies.append(m["Body"])
        sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
expect("bodies", sorted(bodies), sorted(["hello 1", due.strftime("arn:aws:scheduler:us-east-1:000000000000:schedule/default/once %Y-%m-%dT%H:%M:%SZ")]))
if datetime.datetime.now(datetime.timezone.utc) < due.replace(microsecond=0):
    sys.exit("a message came before its time")

first = scheduler.list_schedules(MaxResults=2)
expect("a page", [s["Name"] for s in first["Schedules"]], ["often", "once"])
second = scheduler.list_schedules(NextToken=first["NextToken"])
expect("the last page", ([s["Name"] for s in second["Schedules"]], "NextToken" in second), (["night"], False))
expect("disabled", [s["Name"] for s in scheduler.list_schedules(State="DISABLED")["Schedules"]], ["night"])
expect("of a group", [s["Name"] for s in scheduler.list_schedules(GroupName="default", NamePrefix="on")["Schedules"]], ["once"])
scheduler.delete_schedule(Name="often")
refused("ResourceNotFoundException", 404, scheduler.delete_schedule, Name="often")
scheduler.delete_schedule_group(Name="jobs")
refused("ResourceNotFoundException", 404, scheduler.get_schedule, Name="night", GroupName="jobs")
expect("left", [s["Name"] for s in scheduler.list_schedules()["Schedules"]], ["once"])
print("ok")
