package lambda

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func eventPath(name, rest string) string {
	return "/2019-09-25/functions/" + name + "/event-invoke-config" + rest
}

func onSuccess(arn string) M {
	return M{"DestinationConfig": M{"OnSuccess": M{"Destination": arn}}}
}

func eventReproductions() []reproduction {
	put := func(recorded, name string, body M, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: append(fill, "<function-name:1>", "fn"), method: "PUT", path: eventPath(name, ""), body: body}
	}
	get := func(recorded, name, qualifier string, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: append(fill, "<function-name:1>", "fn"), method: "GET", path: eventPath(name, "?Qualifier="+qualifier)}
	}
	const none = notFoundCode + "The function arn:<partition>:lambda:<region>:111111111111:function:"
	gone := func(method string, body any) reproduction {
		return reproduction{recorded: notFoundCode + "The function doesn't exist.", method: method, path: eventPath("doesnotexist", ""), body: body}
	}
	retry := M{"MaximumRetryAttempts": 1}
	return []reproduction{
		put(invalidCode+"The destination ARN", "fn", onSuccess(arnOf("doesnotexist"))),
		put(invalidCode+"The provided destination config", "plain", onSuccess("arn:aws:iam:us-east-1:111111111111:function:fn")),
		put(invalidCode+"You can't specify the function as a destination", "fn", onSuccess(arnOf("fn"))),
		put(invalidCode+"You must specify at least one of error handling", "fn", M{}),
		{recorded: invalidCode + "You must specify at least one of error handling", method: "POST", path: eventPath("fn", ""), body: M{}},
		put(oneError+"'arn:<partition>:_-/!lambda", "plain", M{"DestinationConfig": M{"OnFailure": M{"Destination": "arn:aws:_-/!lambda:us-east-1:111111111111:function:fn"}}}),
		get(none+"<fn-name>:1221", "fn", "1221", "<fn-name>", "fn"),
		get(none+"<function-name:1>:$LATEST", "fn", "$LATEST"),
		get(none+"<function-name:1>:1 ", "fn", "1"),
		get(none+"<function-name:1>:doesnotexist", "fn", "doesnotexist"),
		get(none+"<function-name:1>:eventinvokealias", "fn", "eventinvokealias"),
		get(none+"<nonexisting-fn-name>:$LATEST", "gone", "$LATEST", "<nonexisting-fn-name>", "gone"),
		{recorded: none + "doesnotexist:$LATEST", method: "DELETE", path: eventPath("doesnotexist", "")},
		{recorded: none + "<function-name:1>:$LATEST", fill: []string{"<function-name:1>", "fn"}, method: "POST", path: eventPath("fn", ""), body: retry},
		{recorded: none + "<function-name:1>:$LATEST", fill: []string{"<function-name:1>", "fn"}, method: "DELETE", path: eventPath("fn", "")},
		gone("PUT", retry), gone("POST", retry),
		{recorded: notFoundCode + "The function doesn't exist.", method: "GET", path: eventPath("doesnotexist", "/list")},
		{recorded: notFoundCode + "The function doesn't exist.", method: "PUT", path: eventPath("fn", "?Qualifier=doesnotexist"), body: retry},
	}
}

func TestEventInvokeConfig(t *testing.T) {
	p := newPlatform(t, func(cfg *Config) {
		cfg.HasQueue = func(tenant, name string) bool { return tenant == testTenant && name == "there" }
		cfg.Now = func() time.Time { return time.Date(2026, 11, 23, 7, 0, 1, 250e6, time.UTC) }
	})
	p.create("fn")
	p.create("other")
	p.publish("fn", "first")
	p.must(201, "POST", functionPath("fn", "/aliases"), M{"Name": "live", "FunctionVersion": "1"})
	const queue, hook = "arn:aws:sqs:us-east-1:111111111111:there", "arn:aws-millicent:webhook:::https://example.com/a?b=c"

	shown := func(qualifier, success, failure string, more M) map[string]any {
		at := func(arn string) map[string]any {
			if arn == "" {
				return map[string]any{}
			}
			return map[string]any{"Destination": arn}
		}
		return with(M{
			"FunctionArn": arnOf("fn") + ":" + qualifier, "LastModified": float64(1795417201.25),
			"DestinationConfig": map[string]any{"OnSuccess": at(success), "OnFailure": at(failure)},
		}, more)
	}
	same := func(got, want map[string]any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	same(p.must(200, "PUT", eventPath("fn", ""), with(onSuccess(arnOf("other")+":$LATEST"), M{"MaximumRetryAttempts": 0})),
		shown("$LATEST", arnOf("other")+":$LATEST", "", M{"MaximumRetryAttempts": float64(0)}))
	same(p.must(200, "POST", eventPath("fn", "?Qualifier=$LATEST"), M{"MaximumEventAgeInSeconds": 60}),
		shown("$LATEST", arnOf("other")+":$LATEST", "", M{"MaximumRetryAttempts": float64(0), "MaximumEventAgeInSeconds": float64(60)}))
	same(p.must(200, "PUT", eventPath("fn:live", ""), M{"DestinationConfig": M{"OnSuccess": M{"Destination": queue}, "OnFailure": M{"Destination": hook}}}),
		shown("live", queue, hook, nil))
	p.must(200, "PUT", eventPath("fn:1", ""), M{"DestinationConfig": M{"OnFailure": M{"Destination": "arn:aws-millicent:nats:::a.b-c"}}})
	// Put starts afresh.
	same(p.must(200, "PUT", eventPath("fn", ""), M{"MaximumEventAgeInSeconds": 21600}),
		shown("$LATEST", "", "", M{"MaximumEventAgeInSeconds": float64(21600)}))

	list := p.must(200, "GET", eventPath("fn", "/list?MaxItems=2"), nil)
	if got := len(list["FunctionEventInvokeConfigs"].([]any)); got != 2 || list["NextMarker"] == nil {
		t.Errorf("the first page has %d configurations: %v", got, list)
	}
	list = p.must(200, "GET", eventPath("fn", "/list?Marker="+list["NextMarker"].(string)), nil)
	if got := list["FunctionEventInvokeConfigs"].([]any); len(got) != 1 || got[0].(map[string]any)["FunctionArn"] != arnOf("fn")+":live" {
		t.Errorf("the second page is %v", got)
	}

	for _, arn := range []string{
		"arn:aws:sqs:us-east-1:111111111111:gone", "arn:aws:sqs:us-east-1:000000000000:there", "arn:aws:sqs:eu-west-1:111111111111:there",
		"arn:aws:sns:us-east-1:111111111111:there", "arn:aws-millicent:webhook:::ftp://example.com", "arn:aws-millicent:webhook:::https://u:p@example.com",
		"arn:aws-millicent:nats:::$JS.API", "arn:aws-millicent:nats:::a.*", "arn:aws-millicent:nats:::a..b", arnOf("other") + ":gone",
	} {
		if a := p.call("PUT", eventPath("fn", ""), onSuccess(arn)); a.status != 400 {
			t.Errorf("%s is taken as a destination: %d %s", arn, a.status, a.body)
		}
	}

	p.must(204, "DELETE", functionPath("fn", "/aliases/live"), nil)
	p.must(204, "DELETE", functionPath("fn", "?Qualifier=1"), nil)
	if list := p.must(200, "GET", eventPath("fn", "/list"), nil); len(list["FunctionEventInvokeConfigs"].([]any)) != 1 {
		t.Errorf("configurations outlive their qualifiers: %v", list)
	}
	p.must(204, "DELETE", eventPath("fn", ""), nil)
	p.must(404, "GET", eventPath("fn", ""), nil)
}
