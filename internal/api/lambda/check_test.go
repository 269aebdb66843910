package lambda

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func wantEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestViolations checks texts that no recording has.
func TestViolations(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("fn")
	for _, c := range []struct {
		about, method, path string
		body                any
		code, message       string
	}{
		{
			"several at once, in the model's order", "POST", functionsPath, with(createRequest("f"), M{"Timeout": 0, "MemorySize": 10241, "Role": nil}), codeValidation,
			"3 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be null; " +
				"Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
				"Value '10241' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to 10240",
		},
		{
			"a secret is not repeated", "POST", functionsPath, with(createRequest("f"), M{"Environment": M{"Variables": M{"1": "secret"}}}), codeValidation,
			"1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: " +
				"[Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
		},
		{
			"a list's null", "POST", functionsPath, with(createRequest("f"), M{"Architectures": []any{nil}}), codeValidation,
			"1 validation error detected: Value '[null]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: " +
				"[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
		},
		{
			"a structure in a list", "POST", functionsPath, with(createRequest("f"), M{"FileSystemConfigs": []M{{"Arn": "x"}}}), codeValidation, "fileSystemConfigs.1.member.localMountPath",
		},
		{"a number for a string", "POST", functionsPath, with(createRequest("f"), M{"Handler": 1}), codeSerialization, "Value at 'handler' is a number that can not be converted to String"},
		{"a fraction for an integer", "POST", functionsPath, with(createRequest("f"), M{"Timeout": 1.5}), codeSerialization, "'timeout'"},
		{"a query parameter that is no number", "GET", functionsPath + "?MaxItems=x", nil, codeSerialization, "'maxItems'"},
		{"no JSON", "POST", functionsPath, "{", codeSerialization, "unexpected EOF"},
		{"no object", "POST", functionsPath, "[]", codeSerialization, "not a JSON object"},
		{"more than an object", "POST", functionsPath, "{} {}", codeSerialization, "after"},
		{"nested without end", "POST", functionsPath, strings.Repeat(`{"a":`, 100), codeSerialization, "nested deeper"},
		{"not base64", "POST", functionsPath, with(createRequest("f"), M{"Code": M{"ZipFile": "%"}}), codeSerialization, "base64"},
		{"a member of another case is none", "POST", functionsPath, `{"functionname":"f"}`, codeValidation, "Value null at 'functionName'"},
		{"a member that travels in the path is not taken from the body", "PUT", functionPath("gone", "/configuration"), `{"FunctionName":"fn"}`, "ResourceNotFoundException", ":gone"},
		{"no code", "POST", functionsPath, with(createRequest("f"), M{"Code": M{}}), "InvalidParameterValueException", "Please provide a source for function code."},
		{"no S3 store", "POST", functionsPath, with(createRequest("f"), M{"Code": M{"S3Bucket": "bucket", "S3Key": "k"}}), "InvalidParameterValueException", "--s3-endpoint"},
		{"an S3 bucket's name", "POST", functionsPath, with(createRequest("f"), M{"Code": M{"S3Bucket": "bucket.", "S3Key": "k"}}), codeValidation, "'code.s3Bucket'"},
		{"an empty package", "POST", functionsPath, with(createRequest("f"), M{"Code": M{"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}), "InvalidParameterValueException", "non-empty zip"},
		{"no handler", "POST", functionsPath, with(createRequest("f"), M{"Handler": nil}), "InvalidParameterValueException", "Runtime and Handler are mandatory"},
		{"an image", "POST", functionsPath, with(createRequest("f"), M{"PackageType": "Image"}), "NotImplementedException", "Image"},
		{"a durable function", "POST", functionsPath, with(createRequest("f"), M{"DurableConfig": M{"ExecutionTimeout": 1}}), "NotImplementedException", "DurableConfig"},
		{
			"reserved variables", "POST", functionsPath, with(createRequest("f"), M{"Environment": M{"Variables": M{"AWS_REGION": "x"}}}), "InvalidParameterValueException",
			"contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION",
		},
		{"twice the same name", "POST", functionsPath, createRequest("fn"), "ResourceConflictException", "Function already exist: fn"},
		{"a URL of a version", "POST", urlPath("fn:1"), M{"AuthType": "NONE"}, codeValidation, "'functionName'"},
		{"a broken marker", "GET", functionsPath + "?Marker=%25", nil, "InvalidParameterValueException", "Invalid marker."},
		{"a client context that is none", "POST", functionPath("fn", "/invocations"), "{}", codeContent, "Client context must be"},
		{"no such path", "GET", "/2015-03-31/nothing", nil, codeUnknown, "no operation GET"},
	} {
		t.Run(c.about, func(t *testing.T) {
			p.t = t
			a := p.call(c.method, c.path, c.body, "X-Amz-Client-Context", "%")
			ex, _ := ExceptionOf(c.code)
			got, _ := a.object(t)[ex.Message].(string)
			if a.header.Get("X-Amzn-Errortype") != c.code || !strings.Contains(got, c.message) {
				t.Errorf("%d %s: %s\nwant %s with %s", a.status, a.header.Get("X-Amzn-Errortype"), got, c.code, c.message)
			}
		})
	}
}

// TestRuntime hands on what the machine says of a runtime.
func TestRuntime(t *testing.T) {
	p := newPlatform(t, func(cfg *Config) {
		cfg.Runtime = func(name string) (string, error) {
			if name == "python3.13" {
				return "python3.11 serves\nit", nil
			}
			return "", invalid("There is no %s on this machine.", name)
		}
	})
	a := p.call("POST", functionsPath, createRequest("f"))
	if a.status != 201 || a.header.Get(WarningHeader) != "python3.11 serves it" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	a = p.call("POST", functionsPath, with(createRequest("g"), M{"Runtime": "java21"}))
	if a.status != 400 || !strings.Contains(string(a.body), "There is no java21") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestPatterns compiles every pattern of the requests.
func TestPatterns(t *testing.T) {
	seen := map[*shape]bool{}
	var walk func(s *shape)
	walk = func(s *shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.pattern != nil {
			s.pattern.matches("x")
		}
		walk(s.element)
		walk(s.key)
		for _, m := range s.members {
			walk(m.shape)
		}
	}
	for _, op := range operations {
		walk(op.input)
	}
	if len(seen) < 100 {
		t.Errorf("%d shapes", len(seen))
	}
}

func TestLookAround(t *testing.T) {
	for _, c := range []struct {
		s     *shape
		value string
		want  bool
	}{
		{&shapeAlias, "2024", false}, {&shapeAlias, "2024-01", true}, {&shapeAlias, "", false}, {&shapeAlias, "a.b", false},
		{&shapeFunctionUrlQualifier, "1", false}, {&shapeFunctionUrlQualifier, "v1", true}, {&shapeFunctionUrlQualifier, "$LATEST", false},
		{&shapeS3Bucket, "a.b", true}, {&shapeS3Bucket, "a.", false}, {&shapeS3Bucket, "a/b", false},
		{&shapeFunctionUrlFunctionName, "f", true}, {&shapeFunctionUrlFunctionName, "f:live", true}, {&shapeFunctionUrlFunctionName, "f:1", false},
		{&shapeFunctionUrlFunctionName, "arn:aws:lambda:us-east-1:111111111111:function:f:1a", true},
		{&shapeFunctionUrlFunctionName, "111111111111:function:f:12", false}, {&shapeFunctionUrlFunctionName, "a b", false},
	} {
		if got := c.s.pattern.matches(c.value); got != c.want {
			t.Errorf("%q matches %s: %v", c.value, c.s.pattern.text, got)
		}
	}
}

// FuzzDecode decodes bodies of the operation with the most members.
func FuzzDecode(f *testing.F) {
	seed, err := json.Marshal(with(createRequest("f"), everything()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"FunctionName":null,"Layers":[null],"Environment":{"Variables":{"A_":1}}}`))
	f.Add([]byte(`{"Timeout":1e400,"Tags":{"":""},"FileSystemConfigs":[{}]}`))
	var op *operation
	for i := range operations {
		if operations[i].name == "CreateFunction" {
			op = &operations[i]
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in := &CreateFunctionRequest{}
		_, err := decode(op, httptest.NewRequest("POST", functionsPath, nil), nil, body, in)
		if err == nil && (in.FunctionName == nil || in.Role == nil || in.Code == nil) {
			t.Errorf("accepted without what is required: %+v", in)
		}
	})
}
