package main

// What AWS answers where it differs from its published model. Each entry is
// seen in an answer recorded from AWS.

// enumOrders holds the order in which AWS lists an enum's values.
var enumOrders = map[string][]string{
	"InvokeMode":          {"RESPONSE_STREAM", "BUFFERED"},
	"Architecture":        {"x86_64", "arm64"},
	"RecursiveLoop":       {"Terminate", "Allow"},
	"EventSourcePosition": {"LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"},
	"SnapStartApplyOn":    {"PublishedVersions", "None"},
}

// patterns holds patterns whose recorded text is not the model's.
var patterns = map[string]string{
	"NamespacedFunctionName": `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?`,
	"LayerVersionArn":        `(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)`,
	"TaggableResource":       `arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)`,
}

// sparseLists are lists whose element constraint is recorded without "Member
// must not be null".
var sparseLists = map[string]bool{"SubnetIds": true, "SecurityGroupIds": true}

// maxima holds upper bounds of the ordinary kind of function; the model's are
// those of a kind of function that runs on managed instances.
var maxima = map[string]float64{"Timeout": 900, "MemorySize": 10240}

// applyRecorded changes the model into what AWS answers.
func (m *model) applyRecorded() {
	for name, order := range enumOrders {
		m.Shapes[name].Enum = order
	}
	for name, pattern := range patterns {
		m.Shapes[name].Pattern = pattern
	}
	for name, limit := range maxima {
		m.Shapes[name].Max = &limit
	}
	// An unknown runtime is refused by the operation, with a text of its own.
	m.Shapes["Runtime"].Enum = nil
}
