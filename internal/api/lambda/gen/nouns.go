package main

// A noun is a group of operations whose types share a file.
type noun struct {
	file       string
	operations []string
}

// nouns lists the operations that package lambda implements.
var nouns = []noun{
	{"function_gen.go", []string{
		"CreateFunction", "GetFunction", "GetFunctionConfiguration", "UpdateFunctionCode",
		"UpdateFunctionConfiguration", "ListFunctions", "DeleteFunction", "GetFunctionCodeSigningConfig",
	}},
	{"version_gen.go", []string{"PublishVersion", "ListVersionsByFunction"}},
	{"alias_gen.go", []string{"CreateAlias", "GetAlias", "UpdateAlias", "DeleteAlias", "ListAliases"}},
	{"tag_gen.go", []string{"ListTags", "TagResource", "UntagResource"}},
	{"concurrency_gen.go", []string{
		"PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency", "GetAccountSettings",
	}},
	{"recursion_gen.go", []string{"PutFunctionRecursionConfig", "GetFunctionRecursionConfig"}},
	{"event_gen.go", []string{
		"PutFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig", "GetFunctionEventInvokeConfig",
		"DeleteFunctionEventInvokeConfig", "ListFunctionEventInvokeConfigs",
	}},
	{"provisioned_gen.go", []string{
		"PutProvisionedConcurrencyConfig", "GetProvisionedConcurrencyConfig",
		"DeleteProvisionedConcurrencyConfig", "ListProvisionedConcurrencyConfigs",
	}},
	{"url_gen.go", []string{
		"CreateFunctionUrlConfig", "GetFunctionUrlConfig", "UpdateFunctionUrlConfig",
		"DeleteFunctionUrlConfig", "ListFunctionUrlConfigs",
	}},
	{"mapping_gen.go", []string{
		"CreateEventSourceMapping", "GetEventSourceMapping", "ListEventSourceMappings",
		"UpdateEventSourceMapping", "DeleteEventSourceMapping",
	}},
	{"permission_gen.go", []string{"AddPermission", "GetPolicy", "RemovePermission"}},
	{"invoke_gen.go", []string{"Invoke", "InvokeAsync", "InvokeWithResponseStream"}},
}

// implemented returns the names of the operations with types.
func implemented() []string {
	var names []string
	for _, n := range nouns {
		names = append(names, n.operations...)
	}
	return names
}
