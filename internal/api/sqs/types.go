package sqs

// none is the request or the answer without members.
type none struct{}

type createQueueRequest struct {
	QueueName  string            `json:"QueueName"`
	Attributes map[string]string `json:"Attributes" query:"Attribute,Name,Value"`
	Tags       map[string]string `json:"tags" query:"Tag,Key,Value"`
}

type queueURL struct {
	QueueURL string `json:"QueueUrl"`
}

type getQueueURLRequest struct {
	QueueName string `json:"QueueName"`
	Owner     string `json:"QueueOwnerAWSAccountId"`
}

type getQueueAttributesRequest struct {
	queueURL
	AttributeNames []string `json:"AttributeNames" query:"AttributeName"`
}

type queueAttributes struct {
	Attributes map[string]string `json:"Attributes,omitempty" query:"Attribute,Name,Value"`
}

type setQueueAttributesRequest struct {
	queueURL
	Attributes map[string]string `json:"Attributes" query:"Attribute,Name,Value"`
}

type listQueuesRequest struct {
	Prefix     string `json:"QueueNamePrefix"`
	NextToken  string `json:"NextToken"`
	MaxResults *int   `json:"MaxResults"`
}

type listQueuesResponse struct {
	QueueURLs []string `json:"QueueUrls,omitempty" query:"QueueUrl"`
	NextToken string   `json:"NextToken,omitempty"`
}

type listSourcesRequest struct {
	queueURL
	NextToken  string `json:"NextToken"`
	MaxResults *int   `json:"MaxResults"`
}

type listSourcesResponse struct {
	QueueURLs []string `json:"queueUrls" query:"QueueUrl"`
	NextToken string   `json:"NextToken,omitempty"`
}

type tagQueueRequest struct {
	queueURL
	Tags map[string]string `json:"Tags" query:"Tag,Key,Value"`
}

type untagQueueRequest struct {
	queueURL
	TagKeys []string `json:"TagKeys" query:"TagKey"`
}

type listQueueTagsResponse struct {
	Tags map[string]string `json:"Tags,omitempty" query:"Tag,Key,Value"`
}

// attribute is a message attribute.
type attribute struct {
	DataType         string   `json:"DataType"`
	StringValue      *string  `json:"StringValue,omitempty"`
	BinaryValue      []byte   `json:"BinaryValue,omitempty"`
	StringListValues []string `json:"StringListValues,omitempty" query:"StringListValue"`
	BinaryListValues [][]byte `json:"BinaryListValues,omitempty" query:"BinaryListValue"`
}

// outgoing is what one message and one entry of a batch have alike.
type outgoing struct {
	Body             string               `json:"MessageBody"`
	Delay            *int                 `json:"DelaySeconds"`
	Attributes       map[string]attribute `json:"MessageAttributes" query:"MessageAttribute,Name,Value"`
	SystemAttributes map[string]attribute `json:"MessageSystemAttributes" query:"MessageSystemAttribute,Name,Value"`
	Dedup            string               `json:"MessageDeduplicationId"`
	Group            string               `json:"MessageGroupId"`
}

type sendMessageRequest struct {
	queueURL
	outgoing
}

// sent is what the answers to one message and one entry of a batch have alike.
type sent struct {
	BodyMD5       string `json:"MD5OfMessageBody"`
	AttributesMD5 string `json:"MD5OfMessageAttributes,omitempty"`
	SystemMD5     string `json:"MD5OfMessageSystemAttributes,omitempty"`
	MessageID     string `json:"MessageId"`
	Sequence      string `json:"SequenceNumber,omitempty"`
}

type sendMessageBatchRequest struct {
	queueURL
	Entries []sendEntry `json:"Entries" query:"SendMessageBatchRequestEntry"`
}

type sendEntry struct {
	ID string `json:"Id"`
	outgoing
}

type sendMessageBatchResponse struct {
	Successful []sentEntry   `json:"Successful" query:"SendMessageBatchResultEntry"`
	Failed     []failedEntry `json:"Failed,omitempty" query:"BatchResultErrorEntry"`
}

type sentEntry struct {
	ID string `json:"Id"`
	sent
}

type failedEntry struct {
	ID          string `json:"Id"`
	SenderFault bool   `json:"SenderFault"`
	Code        string `json:"Code"`
	Message     string `json:"Message,omitempty"`
}

type receiveMessageRequest struct {
	queueURL
	AttributeNames        []string `json:"AttributeNames" query:"AttributeName"`
	SystemAttributeNames  []string `json:"MessageSystemAttributeNames" query:"MessageSystemAttributeName"`
	MessageAttributeNames []string `json:"MessageAttributeNames" query:"MessageAttributeName"`
	Max                   *int     `json:"MaxNumberOfMessages"`
	Visibility            *int     `json:"VisibilityTimeout"`
	Wait                  *int     `json:"WaitTimeSeconds"`
	Attempt               string   `json:"ReceiveRequestAttemptId"`
}

type receiveMessageResponse struct {
	Messages []message `json:"Messages,omitempty" query:"Message"`
}

type message struct {
	MessageID         string               `json:"MessageId"`
	ReceiptHandle     string               `json:"ReceiptHandle"`
	BodyMD5           string               `json:"MD5OfBody"`
	Body              string               `json:"Body"`
	Attributes        map[string]string    `json:"Attributes,omitempty" query:"Attribute,Name,Value"`
	AttributesMD5     string               `json:"MD5OfMessageAttributes,omitempty"`
	MessageAttributes map[string]attribute `json:"MessageAttributes,omitempty" query:"MessageAttribute,Name,Value"`
}

type deleteMessageRequest struct {
	queueURL
	ReceiptHandle string `json:"ReceiptHandle"`
}

type deleteMessageBatchRequest struct {
	queueURL
	Entries []deleteEntry `json:"Entries" query:"DeleteMessageBatchRequestEntry"`
}

type deleteEntry struct {
	ID            string `json:"Id"`
	ReceiptHandle string `json:"ReceiptHandle"`
}

type doneEntry struct {
	ID string `json:"Id"`
}

type deleteMessageBatchResponse struct {
	Successful []doneEntry   `json:"Successful" query:"DeleteMessageBatchResultEntry"`
	Failed     []failedEntry `json:"Failed,omitempty" query:"BatchResultErrorEntry"`
}

type changeVisibilityRequest struct {
	queueURL
	ReceiptHandle string `json:"ReceiptHandle"`
	Visibility    *int   `json:"VisibilityTimeout"`
}

type changeVisibilityBatchRequest struct {
	queueURL
	Entries []visibilityEntry `json:"Entries" query:"ChangeMessageVisibilityBatchRequestEntry"`
}

type visibilityEntry struct {
	ID            string `json:"Id"`
	ReceiptHandle string `json:"ReceiptHandle"`
	Visibility    *int   `json:"VisibilityTimeout"`
}

type changeVisibilityBatchResponse struct {
	Successful []doneEntry   `json:"Successful" query:"ChangeMessageVisibilityBatchResultEntry"`
	Failed     []failedEntry `json:"Failed,omitempty" query:"BatchResultErrorEntry"`
}
