package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// boto3 in Debian speaks the query protocol.
func TestBoto3Queues(t *testing.T) {
	need(t, "/usr/lib/python3/dist-packages/boto3", "python3-boto3")
	s := up(t)
	runClient(t, s, ".", "/usr/bin/python3", "testdata/boto3_sqs.py", s.url())
}

func (s *server) queues() *sqs.Client {
	return sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.url()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.keyID, s.keySecret, ""),
	})
}

// aws-sdk-go-v2 speaks the JSON protocol, and checks MD5s. What was sent is
// there after a kill -9.
func TestSDKQueues(t *testing.T) {
	for _, mode := range []string{"none", "sigv4"} {
		t.Run("auth "+mode, func(t *testing.T) {
			s := up(t, "--auth", mode)
			s.withKey(t)
			c, ctx := s.queues(), context.Background()
			made, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "120"}})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 30 {
				body := fmt.Sprintf("message %02d", i)
				want = append(want, body)
				_, err := c.SendMessage(ctx, &sqs.SendMessageInput{
					QueueUrl: made.QueueUrl, MessageBody: &body,
					MessageAttributes: map[string]types.MessageAttributeValue{"n": {DataType: aws.String("Number"), StringValue: aws.String(fmt.Sprint(i))}},
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			s.kill()
			s.start()
			c = s.queues()
			var got []string
			for len(got) < len(want) {
				out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: aws.String(s.url() + "/000000000000/q"), MaxNumberOfMessages: 10, WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"},
				})
				if err != nil {
					t.Fatal(err)
				}
				if len(out.Messages) == 0 {
					break
				}
				var entries []types.DeleteMessageBatchRequestEntry
				for _, m := range out.Messages {
					got = append(got, *m.Body)
					entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
					if len(m.MessageAttributes) != 1 {
						t.Errorf("attributes %v", m.MessageAttributes)
					}
				}
				deleted, err := c.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(s.url() + "/000000000000/q"), Entries: entries})
				if err != nil || len(deleted.Failed) != 0 {
					t.Fatal(err, deleted)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("received %q, want %q", got, want)
			}
			// What was deleted stays deleted.
			s.kill()
			s.start()
			left, err := s.queues().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
				QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible},
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, n := range left.Attributes {
				if n != "0" {
					t.Errorf("%s is %s after all were deleted", name, n)
				}
			}
		})
	}
}
