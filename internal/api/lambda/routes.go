package lambda

// A binding says what serves an operation. Method and path are the service
// model's, repeated to be read; a test compares them.
type binding struct {
	method, path, operation string
	endpoint                endpoint
}

// bindings is the whole surface. An operation of the model that is missing
// here is answered with status 501 and its name.
func (h *Handler) bindings() []binding {
	return []binding{
		{"POST", "/2015-03-31/functions", "CreateFunction", typed(h.createFunction)},
		{"GET", "/2015-03-31/functions", "ListFunctions", typed(h.listFunctions)},
		{"GET", "/2015-03-31/functions/{FunctionName}", "GetFunction", typed(h.getFunction)},
		{"DELETE", "/2015-03-31/functions/{FunctionName}", "DeleteFunction", typed(h.deleteFunction)},
		{"GET", "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration", typed(h.getFunctionConfiguration)},
		{"PUT", "/2015-03-31/functions/{FunctionName}/configuration", "UpdateFunctionConfiguration", typed(h.updateFunctionConfiguration)},
		{"PUT", "/2015-03-31/functions/{FunctionName}/code", "UpdateFunctionCode", typed(h.updateFunctionCode)},
		{"GET", "/2020-06-30/functions/{FunctionName}/code-signing-config", "GetFunctionCodeSigningConfig", typed(h.getFunctionCodeSigningConfig)},
		{"POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke", typed(h.invoke)},
		{"POST", "/2014-11-13/functions/{FunctionName}/invoke-async", "InvokeAsync", typed(h.invokeAsync)},
		{"POST", "/2021-11-15/functions/{FunctionName}/response-streaming-invocations", "InvokeWithResponseStream", typed(h.invokeWithResponseStream)},
		{"POST", "/2015-03-31/functions/{FunctionName}/versions", "PublishVersion", typed(h.publishVersion)},
		{"GET", "/2015-03-31/functions/{FunctionName}/versions", "ListVersionsByFunction", typed(h.listVersionsByFunction)},
		{"POST", "/2015-03-31/functions/{FunctionName}/aliases", "CreateAlias", typed(h.createAlias)},
		{"GET", "/2015-03-31/functions/{FunctionName}/aliases", "ListAliases", typed(h.listAliases)},
		{"GET", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "GetAlias", typed(h.getAlias)},
		{"PUT", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "UpdateAlias", typed(h.updateAlias)},
		{"DELETE", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "DeleteAlias", typed(h.deleteAlias)},
		{"POST", "/2015-03-31/functions/{FunctionName}/policy", "AddPermission", typed(h.addPermission)},
		{"GET", "/2015-03-31/functions/{FunctionName}/policy", "GetPolicy", typed(h.getPolicy)},
		{"DELETE", "/2015-03-31/functions/{FunctionName}/policy/{StatementId}", "RemovePermission", typed(h.removePermission)},
		{"GET", "/2016-08-19/account-settings", "GetAccountSettings", typed(h.getAccountSettings)},
		{"PUT", "/2017-10-31/functions/{FunctionName}/concurrency", "PutFunctionConcurrency", typed(h.putFunctionConcurrency)},
		{"DELETE", "/2017-10-31/functions/{FunctionName}/concurrency", "DeleteFunctionConcurrency", typed(h.deleteFunctionConcurrency)},
		{"GET", "/2019-09-30/functions/{FunctionName}/concurrency", "GetFunctionConcurrency", typed(h.getFunctionConcurrency)},
		{"GET", "/2024-08-31/functions/{FunctionName}/recursion-config", "GetFunctionRecursionConfig", typed(h.getFunctionRecursionConfig)},
		{"PUT", "/2024-08-31/functions/{FunctionName}/recursion-config", "PutFunctionRecursionConfig", typed(h.putFunctionRecursionConfig)},
		{"PUT", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "PutProvisionedConcurrencyConfig", typed(h.putProvisionedConcurrencyConfig)},
		{"GET", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "GetProvisionedConcurrencyConfig", typed(h.getProvisionedConcurrencyConfig)},
		{"DELETE", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency", "DeleteProvisionedConcurrencyConfig", typed(h.deleteProvisionedConcurrencyConfig)},
		{"GET", "/2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL", "ListProvisionedConcurrencyConfigs", typed(h.listProvisionedConcurrencyConfigs)},
		{"PUT", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "PutFunctionEventInvokeConfig", typed(h.putEventConfig)},
		{"POST", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "UpdateFunctionEventInvokeConfig", typed(h.updateEventConfig)},
		{"GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "GetFunctionEventInvokeConfig", typed(h.getEventConfig)},
		{"DELETE", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "DeleteFunctionEventInvokeConfig", typed(h.deleteEventConfig)},
		{"GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config/list", "ListFunctionEventInvokeConfigs", typed(h.listEventConfigs)},
		{"POST", "/2015-03-31/event-source-mappings", "CreateEventSourceMapping", typed(h.createEventSourceMapping)},
		{"GET", "/2015-03-31/event-source-mappings", "ListEventSourceMappings", typed(h.listEventSourceMappings)},
		{"GET", "/2015-03-31/event-source-mappings/{UUID}", "GetEventSourceMapping", typed(h.getEventSourceMapping)},
		{"PUT", "/2015-03-31/event-source-mappings/{UUID}", "UpdateEventSourceMapping", typed(h.updateEventSourceMapping)},
		{"DELETE", "/2015-03-31/event-source-mappings/{UUID}", "DeleteEventSourceMapping", typed(h.deleteEventSourceMapping)},
		{"GET", "/2017-03-31/tags/{Resource}", "ListTags", typed(h.listTags)},
		{"POST", "/2017-03-31/tags/{Resource}", "TagResource", typed(h.tagResource)},
		{"DELETE", "/2017-03-31/tags/{Resource}", "UntagResource", typed(h.untagResource)},
		{"POST", "/2021-10-31/functions/{FunctionName}/url", "CreateFunctionUrlConfig", typed(h.createURLConfig)},
		{"GET", "/2021-10-31/functions/{FunctionName}/url", "GetFunctionUrlConfig", typed(h.getURLConfig)},
		{"PUT", "/2021-10-31/functions/{FunctionName}/url", "UpdateFunctionUrlConfig", typed(h.updateURLConfig)},
		{"DELETE", "/2021-10-31/functions/{FunctionName}/url", "DeleteFunctionUrlConfig", typed(h.deleteURLConfig)},
		{"GET", "/2021-10-31/functions/{FunctionName}/urls", "ListFunctionUrlConfigs", typed(h.listURLConfigs)},
	}
}
