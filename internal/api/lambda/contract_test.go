package lambda

import (
	"strings"
	"testing"
)

// A step is one call of a walk through all operations.
type step struct {
	operation    string
	method, path string
	body         any
	header       []string
}

// TestContract calls every operation that is built and holds its answer
// against the service model.
func TestContract(t *testing.T) {
	m := readServiceModel(t)
	p := newPlatform(t, nil)
	called := map[string]bool{}
	for _, s := range contractWalk() {
		a := p.call(s.method, s.path, s.body, s.header...)
		for _, fault := range m.checkAnswer(s.operation, a) {
			t.Errorf("%s %s: %s", s.operation, s.path, fault)
		}
		if strings.HasPrefix(s.operation, "Update") || s.operation == "CreateFunction" {
			p.settled("walk")
		}
		called[s.operation] = true
	}
	for _, operation := range p.walkMappings(m) {
		called[operation] = true
	}
	for _, b := range p.bindings() {
		if !called[b.operation] {
			t.Errorf("%s is not in the walk", b.operation)
		}
	}
}

// everything that a function's configuration may hold.
func everything() M {
	return M{
		"Description": "all of it", "Timeout": 900, "MemorySize": 10240, "Publish": true, "PackageType": "Zip",
		"VpcConfig":        M{"SubnetIds": []string{"subnet-1"}, "SecurityGroupIds": []string{"sg-1"}},
		"DeadLetterConfig": M{"TargetArn": "arn:aws:sqs:us-east-1:111111111111:dead"},
		"Environment":      M{"Variables": M{"NAME": "value", "other_1": ""}},
		"KMSKeyArn":        "arn:aws:kms:us-east-1:111111111111:key/1",
		"TracingConfig":    M{"Mode": "Active"},
		"Tags":             M{"owner": "me", "stage": ""},
		"Architectures":    []string{"arm64"},
		"EphemeralStorage": M{"Size": 10240},
		"SnapStart":        M{"ApplyOn": "None"},
		"LoggingConfig":    M{"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "LogGroup": "/of/mine"},
	}
}

func contractWalk() []step {
	const walk = functionsPath + "/walk"
	cors := M{"AllowOrigins": []string{"*"}, "AllowMethods": []string{"GET"}, "AllowHeaders": []string{"x-a"}, "MaxAge": 60, "AllowCredentials": true}
	zipFile := createRequest("x")["Code"]
	return []step{
		{"CreateFunction", "POST", functionsPath, with(createRequest("walk"), everything()), nil},
		{"GetFunction", "GET", walk, nil, nil},
		{"GetFunction", "GET", walk + "?Qualifier=1", nil, nil},
		{"GetFunctionConfiguration", "GET", walk + "/configuration?Qualifier=$LATEST", nil, nil},
		{"GetFunctionCodeSigningConfig", "GET", "/2020-06-30/functions/walk/code-signing-config", nil, nil},
		{"ListFunctions", "GET", functionsPath + "/?FunctionVersion=ALL&MaxItems=10", nil, nil},
		{"ListFunctions", "GET", functionsPath + "?MasterRegion=eu-west-1", nil, nil},
		{"UpdateFunctionConfiguration", "PUT", walk + "/configuration", with(everything(), M{"Timeout": 3, "MemorySize": 128}), nil},
		{"UpdateFunctionCode", "PUT", walk + "/code", with(zipFile.(M), M{"DryRun": true}), nil},
		{"UpdateFunctionCode", "PUT", walk + "/code", with(zipFile.(M), M{"Publish": true, "Architectures": []string{"x86_64"}}), nil},
		{"PublishVersion", "POST", walk + "/versions", M{"Description": "said"}, nil},
		{"ListVersionsByFunction", "GET", walk + "/versions", nil, nil},
		{"Invoke", "POST", walk + "/invocations", "{}", []string{"X-Amz-Log-Type", "Tail"}},
		{"InvokeWithResponseStream", "POST", "/2021-11-15/functions/walk/response-streaming-invocations", "{}", nil},
		{"InvokeAsync", "POST", "/2014-11-13/functions/walk/invoke-async/", "{}", nil},
		{"CreateAlias", "POST", walk + "/aliases", M{"Name": "live", "FunctionVersion": "1", "RoutingConfig": M{"AdditionalVersionWeights": M{"2": .25}}}, nil},
		{"GetAlias", "GET", walk + "/aliases/live", nil, nil},
		{"ListAliases", "GET", walk + "/aliases?FunctionVersion=2", nil, nil},
		{"UpdateAlias", "PUT", walk + "/aliases/live", M{"Description": "d"}, nil},
		{"GetFunction", "GET", walk + ":live", nil, nil},
		{"AddPermission", "POST", walk + "/policy?Qualifier=live", permission(M{"SourceAccount": testTenant, "Principal": testTenant}), nil},
		{"GetPolicy", "GET", walk + "/policy?Qualifier=live", nil, nil},
		{"RemovePermission", "DELETE", walk + "/policy/s3?Qualifier=live", nil, nil},
		{"PutFunctionConcurrency", "PUT", "/2017-10-31/functions/walk/concurrency", M{"ReservedConcurrentExecutions": 7}, nil},
		{"GetFunctionConcurrency", "GET", "/2019-09-30/functions/walk/concurrency", nil, nil},
		{"GetFunction", "GET", walk, nil, nil},
		{"GetAccountSettings", "GET", "/2016-08-19/account-settings/", nil, nil},
		{"GetFunctionRecursionConfig", "GET", recursionPath("walk"), nil, nil},
		{"PutFunctionRecursionConfig", "PUT", recursionPath("walk"), M{"RecursiveLoop": "Allow"}, nil},
		{"GetFunctionRecursionConfig", "GET", recursionPath("walk"), nil, nil},
		{"PutFunctionEventInvokeConfig", "PUT", eventPath("walk", ""), M{"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60}, nil},
		{"UpdateFunctionEventInvokeConfig", "POST", eventPath("walk", ""), onSuccess("arn:aws-millicent:nats:::a"), nil},
		{"GetFunctionEventInvokeConfig", "GET", eventPath("walk", ""), nil, nil},
		{"ListFunctionEventInvokeConfigs", "GET", eventPath("walk", "/list"), nil, nil},
		{"DeleteFunctionEventInvokeConfig", "DELETE", eventPath("walk", ""), nil, nil},
		{"DeleteFunctionConcurrency", "DELETE", "/2017-10-31/functions/walk/concurrency", nil, nil},
		{"GetFunctionConcurrency", "GET", "/2019-09-30/functions/walk/concurrency", nil, nil},
		{"TagResource", "POST", tagsPath(arnOf("walk")), M{"Tags": M{"more": "tags"}}, nil},
		{"ListTags", "GET", tagsPath(arnOf("walk")), nil, nil},
		{"UntagResource", "DELETE", tagsPath(arnOf("walk")) + "?tagKeys=more&tagKeys=owner", nil, nil},
		{"CreateFunctionUrlConfig", "POST", urlPath("walk"), M{"AuthType": "AWS_IAM", "Cors": cors}, nil},
		{"CreateFunctionUrlConfig", "POST", urlPath("walk") + "?Qualifier=live", M{"AuthType": "NONE", "InvokeMode": "BUFFERED"}, nil},
		{"GetFunctionUrlConfig", "GET", urlPath("walk"), nil, nil},
		{"UpdateFunctionUrlConfig", "PUT", urlPath("walk"), M{"AuthType": "NONE"}, nil},
		{"ListFunctionUrlConfigs", "GET", urlPath("walk") + "s", nil, nil},
		{"DeleteFunctionUrlConfig", "DELETE", urlPath("walk"), nil, nil},
		{"UpdateAlias", "PUT", walk + "/aliases/live", M{"RoutingConfig": M{}}, nil},
		{"PutProvisionedConcurrencyConfig", "PUT", provisionedPath("walk", "live"), provisioned(2), nil},
		{"PutProvisionedConcurrencyConfig", "PUT", provisionedPath("walk", "2"), provisioned(1), nil},
		{"GetProvisionedConcurrencyConfig", "GET", provisionedPath("walk", "live"), nil, nil},
		{"ListProvisionedConcurrencyConfigs", "GET", provisionedPath("walk", "") + "&List=ALL&MaxItems=1", nil, nil},
		{"ListProvisionedConcurrencyConfigs", "GET", provisionedPath("walk", "") + "&List=ALL", nil, nil},
		{"DeleteProvisionedConcurrencyConfig", "DELETE", provisionedPath("walk", "2"), nil, nil},
		{"UpdateAlias", "PUT", walk + "/aliases/live", M{"FunctionVersion": "2"}, nil},
		{"DeleteAlias", "DELETE", walk + "/aliases/live", nil, nil},
		{"DeleteFunction", "DELETE", walk + "?Qualifier=1", nil, nil},
		{"DeleteFunction", "DELETE", walk, nil, nil},
	}
}
