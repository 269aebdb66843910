package server

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// relay is a function that calls the platform from inside: its event is a
// method, a path and a body, and it answers what the platform answered, as
// one JSON string.
const relay = `#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
	event=$(curl -sS -D /tmp/headers "$api/next" | tr -d '"')
	id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/headers | tr -d '\r' | cut -d' ' -f2)
	set -- $event
	out=$(curl -sS -X "$1" -d "${3:-}" -w ' %{http_code}' "$AWS_ENDPOINT_URL$2" | tr -d '"\n')
	curl -sS -d "\"$out\"" "$api/$id/response" >/dev/null
done
`

// TestFromInside has a function call the platform: it may invoke, and nothing
// else, whether calls from outside are signed or not.
func TestFromInside(t *testing.T) {
	for _, auth := range []string{AuthNone, AuthSigV4} {
		t.Run(auth, func(t *testing.T) {
			s := start(t, Config{Data: t.TempDir(), Auth: auth})
			c := s.client()
			if auth == AuthSigV4 {
				c = s.adminClient()
			}
			deploy(t, c, "fn", echo)
			deploy(t, c, "relay", relay)
			for event, want := range map[string]string{
				"POST /2015-03-31/functions/fn/invocations 7": "7 200",
				"GET /_millicent/health":                      "{status:ok} 200",
				"GET /2015-03-31/functions":                   "is not authorized to perform: lambda:ListFunctions on resource: *",
				"DELETE /2015-03-31/functions/fn":             "lambda:DeleteFunction on resource: arn:aws:lambda:us-east-1:000000000000:function:fn",
				"POST /_millicent/keys":                       "is not authorized",
				"GET /_millicent/logs?function=fn":            "is not authorized",
				"GET /_millicent/invocations/x":               "is not authorized",
				"GET /_millicent/starts":                      "is not authorized",
				"POST /2015-03-31/functions/arn:aws:lambda:us-east-1:111111111111:function:fn/invocations 7": "403",
			} {
				if got := call(t, c, "relay", `"`+event+`"`); !strings.Contains(got, want) {
					t.Errorf("%s: got %s, want %s", event, got, want)
				}
			}
		})
	}
}

// adminClient is a client on the admin socket, which takes what it is given
// for the default account.
func (s *instance) adminClient() *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: aws.String("http://admin"), Region: "us-east-1", HTTPClient: s.admin(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// TestFailureIsAnAnswer sees a crash answered, and the next call served.
func TestFailureIsAnAnswer(t *testing.T) {
	s := start(t, Config{Data: t.TempDir()})
	c := s.client()
	deploy(t, c, "crash", "#!/bin/sh\nexit 3\n")
	out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("crash"), LogType: types.LogTypeTail})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.FunctionError) != "Unhandled" || !strings.Contains(string(out.Payload), "exit status 3") {
		t.Errorf("got %v %s", aws.ToString(out.FunctionError), out.Payload)
	}
	u, err := c.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("crash"), AuthType: types.FunctionUrlAuthTypeNone})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(*u.FunctionUrl, "http://"), "/")
	if status, body := get(t, "http://"+s.addr+"/", host); status != 502 || body != "Internal Server Error" {
		t.Errorf("by URL: %d %s", status, body)
	}
}
