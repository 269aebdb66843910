package lambda

// notReproduced lists the recordings of what is not built, by the reason.
var notReproduced = map[string][]string{
	"Kafka is no event source here": {
		"ResourceConflictException: An event source mapping with event source (\"kafka:1000\")",
		"ResourceConflictException: An event source mapping with event source (\"kafka:1000,",
	},
	"there are no DynamoDB or Kinesis streams that could have a mapping": {
		"ResourceConflictException: The event source arn (\" arn:<partition>:dynamodb",
		"ResourceConflictException: The event source arn (\" arn:<partition>:kinesis",
	},
	"layers are not built": {
		invalidCode + "Layer Version Cannot be less than 1",
		"PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy",
		"ResourceConflictException: The statement id (s1)",
		notFoundCode + "Layer version arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>-doesnotexist",
		notFoundCode + "Layer version arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>:2",
		notFoundCode + "Statement doesnotexist",
		oneError + "'*' at 'action'",
		oneError + "'archdoesnotexist'",
		oneError + "'arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>' at 'arn'",
		oneError + "'runtimedoesnotexist'",
		"ValidationException: 2 validation errors detected: Value '[invalidruntime, ",
		"ValidationException: 2 validation errors detected: Value '[invalidruntime]",
	},
	"there is no EC2 that could know of subnets and security groups": {
		invalidCode + "Error occurred while DescribeSecurityGroups",
		invalidCode + "Error occurred while DescribeSubnets",
	},
	"functions of package type Image are not built": {invalidCode + "Please provide ImageUri"},
	"code signing configurations are not built":     {notFoundCode + "The Lambda code signing configuration"},
}
