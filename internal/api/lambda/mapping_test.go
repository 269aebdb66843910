package lambda

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mappingsPath = "/2015-03-31/event-source-mappings"

const testQueue = "arn:aws:sqs:us-east-1:111111111111:q"

func mappingRequest(more M) M {
	return with(M{"FunctionName": "fn", "EventSourceArn": testQueue}, more)
}

func mappingReproductions(p *platform) []reproduction {
	create := func(recorded string, more M, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: fill, method: "POST", path: mappingsPath, body: mappingRequest(more)}
	}
	there := p.must(202, "POST", mappingsPath, mappingRequest(nil))
	stream := "arn:aws:dynamodb:us-east-1:111111111111:table/t/stream/s"
	return []reproduction{
		create(invalidCode+"1 validation error detected: Value null at 'startingPosition'", M{"EventSourceArn": stream}),
		create(invalidCode+"Unsupported starting position", M{"EventSourceArn": stream, "StartingPosition": "AT_TIMESTAMP"}, "<table-name>", "t", "<stream-name>", "s"),
		create(invalidCode+"Stream not found: arn:<partition>:dynamodb", M{"EventSourceArn": "arn:aws:dynamodb:us-east-1:111111111111:table/test-table-4a53f4e8/stream/2025-02-22T03:03:25.490", "StartingPosition": "LATEST"}),
		create(invalidCode+"Stream not found: arn:<partition>:kinesis", M{"EventSourceArn": "arn:aws:kinesis:us-east-1:111111111111:stream/test-foobar-81ded7e8", "StartingPosition": "LATEST"}),
		create(oneError+"'invalid' at 'startingPosition'", M{"EventSourceArn": stream, "StartingPosition": "invalid"}),
		create(invalidCode+"Required 'sourceAccessConfigurations'", M{"EventSourceArn": nil, "SelfManagedEventSource": M{"Endpoints": M{"KAFKA_BOOTSTRAP_SERVERS": []string{"kafka:1000"}}}}),
		create(invalidCode+"Unrecognized event source", M{"EventSourceArn": nil}),
		create(invalidCode+"Unsupported DestinationConfig", M{"DestinationConfig": M{"OnSuccess": M{"Destination": testQueue}}}),
		create(invalidCode+"Function does not exist", M{"FunctionName": "doesnotexist"}),
		create(invalidCode+"Error occurred while ReceiveMessage", M{"EventSourceArn": testQueue + "-not"}),
		create(invalidCode+"Invalid filter pattern", M{"FilterCriteria": M{"Filters": []M{{"Pattern": "["}}}}),
		create(invalidCode+"Maximum batch window", M{"BatchSize": 11}),
		create("ResourceConflictException: An event source mapping with SQS", nil,
			"<resource:1>", "q", "<resource:2>", "fn", "<uuid:1>", there["UUID"].(string)),
	}
}

// TestStreamMappings: what mappings of NATS have, and what they do not.
func TestStreamMappings(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("fn")
	p.create("other")
	const stream, subject, own = "arn:aws-millicent:nats:::nats://nats.example.com:4222/stream/ORDERS/orders.>", "arn:aws-millicent:nats:::tls://nats.example.com/orders.*", "arn:aws-millicent:nats:::orders.new"
	made := p.must(202, "POST", mappingsPath, mappingRequest(M{"EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON", "Enabled": false,
		"MetricsConfig": M{"Metrics": []string{"EventCount"}}}))
	path := mappingsPath + "/" + made["UUID"].(string)
	delete(made, "UUID")
	delete(made, "EventSourceMappingArn")
	delete(made, "LastModified")
	want := M{
		"EventSourceArn": stream, "FunctionArn": arnOf("fn"), "State": "Creating", "StateTransitionReason": "User action", "LastProcessingResult": "No records processed",
		"BatchSize": 100.0, "MaximumBatchingWindowInSeconds": 0.0, "StartingPosition": "TRIM_HORIZON", "MaximumRecordAgeInSeconds": -1.0, "MaximumRetryAttempts": -1.0,
		"ParallelizationFactor": 1.0, "BisectBatchOnFunctionError": false, "TumblingWindowInSeconds": 0.0, "DestinationConfig": M{"OnFailure": M{}}, "FunctionResponseTypes": []any{},
		"MetricsConfig": M{"Metrics": []any{"EventCount"}},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	destination := M{"OnFailure": M{"Destination": "arn:aws-millicent:webhook:::https://example.com/failed"}}
	got := p.must(202, "PUT", path, M{"MaximumRecordAgeInSeconds": 60, "MaximumRetryAttempts": 3, "ParallelizationFactor": 2, "BisectBatchOnFunctionError": true,
		"DestinationConfig": destination, "FunctionResponseTypes": []string{"ReportBatchItemFailures"}})
	for key, want := range (M{"MaximumRecordAgeInSeconds": 60.0, "MaximumRetryAttempts": 3.0, "ParallelizationFactor": 2.0, "BisectBatchOnFunctionError": true, "DestinationConfig": destination}) {
		if !cmp.Equal(got[key], want) {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	for source, requests := range map[string][]M{
		stream: {
			{}, {"StartingPosition": "AT_TIMESTAMP"}, {"StartingPosition": "LATEST", "StartingPositionTimestamp": 1},
			{"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1e300},
			{"StartingPosition": "LATEST", "ScalingConfig": M{"MaximumConcurrency": 2}}, {"StartingPosition": "LATEST", "MaximumRecordAgeInSeconds": 59},
			{"StartingPosition": "LATEST", "TumblingWindowInSeconds": 1}, {"StartingPosition": "LATEST", "Topics": []string{"topic"}},
			{"StartingPosition": "LATEST", "DestinationConfig": M{"OnFailure": M{"Destination": "arn:aws:sqs:us-east-1:111111111111:absent"}}},
			{"StartingPosition": "LATEST", "DestinationConfig": M{"OnSuccess": M{"Destination": testQueue}}},
			{"StartingPosition": "LATEST", "SourceAccessConfigurations": []M{{"Type": "BASIC_AUTH", "URI": "ABSENT"}}},
		},
		subject: {{"StartingPosition": "LATEST"}, {"MaximumRetryAttempts": 1}, {"FunctionResponseTypes": []string{"ReportBatchItemFailures"}}, {"DestinationConfig": destination}},
		own:     {{"SourceAccessConfigurations": []M{{"Type": "BASIC_AUTH", "URI": "ABSENT"}}}, {"FilterCriteria": M{"Filters": []M{{"Pattern": "["}}}}},
		testQueue: {
			{"ParallelizationFactor": 1}, {"BisectBatchOnFunctionError": true}, {"MaximumRecordAgeInSeconds": 60}, {"MaximumRetryAttempts": 0}, {"StartingPosition": "LATEST"},
			{"SourceAccessConfigurations": []M{{"Type": "BASIC_AUTH", "URI": "x"}}}, {"DestinationConfig": destination}, {"Queues": []string{"q"}},
			{"ScalingConfig": M{"MaximumConcurrency": 2}, "ProvisionedPollerConfig": M{"MinimumPollers": 2}},
		},
		"arn:aws-millicent:nats:::nats://user:password@host/subject": {{}},
		"arn:aws-millicent:nats:::http://host/subject":               {{}},
		"arn:aws-millicent:nats:::a..b":                              {{}},
	} {
		for _, more := range requests {
			a := p.call("POST", mappingsPath, mappingRequest(with(M{"EventSourceArn": source, "FunctionName": "other"}, more)))
			if a.status != 400 || a.header.Get("X-Amzn-Errortype") != "InvalidParameterValueException" {
				t.Errorf("%s with %v: %d %s", source, more, a.status, a.body)
			}
		}
	}
	for _, source := range []string{subject, own} {
		p.must(202, "POST", mappingsPath, mappingRequest(M{"EventSourceArn": source}))
		if a := p.call("POST", mappingsPath, mappingRequest(M{"EventSourceArn": source})); a.status != 409 {
			t.Errorf("a second one: %d %s", a.status, a.body)
		}
	}
}

// walkMappings calls the operations on event source mappings, holds their
// answers against the model, and returns which they are.
func (p *platform) walkMappings(m *serviceModel) (operations []string) {
	p.t.Helper()
	p.create("mapped")
	id := ""
	for _, s := range []step{
		{"CreateEventSourceMapping", "POST", mappingsPath, mappingRequest(M{
			"FunctionName": "mapped", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 1, "FunctionResponseTypes": []string{"ReportBatchItemFailures"},
			"FilterCriteria": M{"Filters": []M{{"Pattern": `{"body":{"n":[1]}}`}}}, "ScalingConfig": M{"MaximumConcurrency": 2}, "Enabled": false,
		}), nil},
		{"GetEventSourceMapping", "GET", mappingsPath + "/ID", nil, nil},
		{"ListEventSourceMappings", "GET", mappingsPath + "?FunctionName=mapped&MaxItems=1", nil, nil},
		{"UpdateEventSourceMapping", "PUT", mappingsPath + "/ID", M{"Enabled": true, "BatchSize": 5, "FilterCriteria": M{}}, nil},
		{"GetEventSourceMapping", "GET", mappingsPath + "/ID", nil, nil},
		{"DeleteEventSourceMapping", "DELETE", mappingsPath + "/ID", nil, nil},
	} {
		a := p.call(s.method, strings.Replace(s.path, "ID", id, 1), s.body)
		for _, fault := range m.checkAnswer(s.operation, a) {
			p.t.Errorf("%s %s: %s", s.operation, s.path, fault)
		}
		if id == "" {
			id, _ = a.object(p.t)["UUID"].(string)
		}
		operations = append(operations, s.operation)
	}
	return operations
}

func TestMappings(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("fn")
	made := p.must(202, "POST", mappingsPath, mappingRequest(nil))
	if made["State"] != "Creating" || made["BatchSize"] != 10.0 || made["FunctionArn"] != arnOf("fn") || made["EventSourceArn"] != testQueue {
		t.Errorf("created %v", made)
	}
	path := mappingsPath + "/" + made["UUID"].(string)
	if got := p.must(200, "GET", path, nil); got["State"] != "Enabled" || got["StateTransitionReason"] != "USER_INITIATED" {
		t.Errorf("got %v", got)
	}
	if got := p.must(202, "PUT", path, M{"Enabled": false}); got["State"] != "Disabling" {
		t.Errorf("updated %v", got)
	}
	if got := p.must(200, "GET", path, nil); got["State"] != "Disabled" {
		t.Errorf("got %v", got)
	}
	list := p.must(200, "GET", mappingsPath+"?EventSourceArn="+testQueue, nil)["EventSourceMappings"].([]any)
	if len(list) != 1 {
		t.Errorf("listed %v", list)
	}
	if list := p.must(200, "GET", mappingsPath+"?FunctionName=other", nil)["EventSourceMappings"].([]any); len(list) != 0 {
		t.Errorf("listed %v", list)
	}
	tags := tagsPath(made["EventSourceMappingArn"].(string))
	p.must(204, "POST", tags, M{"Tags": M{"a": "1", "b": "2"}})
	p.must(204, "DELETE", tags+"?tagKeys=a", nil)
	if got := p.must(200, "GET", tags, nil)["Tags"]; !cmp.Equal(got, any(M{"b": "2"})) {
		t.Errorf("tags %v", got)
	}
	p.must(404, "GET", strings.Replace(tags, testRegion, "eu-west-1", 1), nil)
	if got := p.must(202, "DELETE", path, nil); got["State"] != "Deleting" {
		t.Errorf("deleted %v", got)
	}
	for _, method := range []string{"GET", "DELETE", "PUT"} {
		p.must(404, method, path, M{})
	}
}
