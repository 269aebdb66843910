package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
)

// withKey makes an access key through the admin socket and signs with it from
// now on.
func (s *server) withKey(t *testing.T) { s.withKeyOf(t, "000000000000") }

// withKeyOf is withKey for a key of another account.
func (s *server) withKeyOf(t *testing.T, account string) {
	t.Helper()
	var key struct{ ID, Secret string }
	out := s.mustCLI("keys", "create", "--data", s.data, "--account", account, "--json")
	if err := json.Unmarshal([]byte(out), &key); err != nil || key.ID == "" || key.Secret == "" {
		t.Fatalf("keys create printed %s (%v)", out, err)
	}
	s.keyID, s.keySecret = key.ID, key.Secret
}

func TestSigV4(t *testing.T) {
	s := up(t, "--auth", "sigv4")
	code := func() string {
		_, err := s.sdk().ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
		var api smithy.APIError
		if errors.As(err, &api) {
			return api.ErrorCode()
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	if got := code(); got != "UnrecognizedClientException" {
		t.Errorf("unknown key: got %q", got)
	}
	s.withKey(t)
	if got := code(); got != "" {
		t.Errorf("right key: got %q", got)
	}
	good := s.keySecret
	s.keySecret = strings.Repeat("x", len(good))
	if got := code(); got != "InvalidSignatureException" {
		t.Errorf("wrong secret: got %q", got)
	}
	s.keySecret = good

	for _, path := range []string{"/2015-03-31/functions", "/_millicent/logs?function=x", "/_millicent/keys"} {
		resp, err := http.Get(s.url() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body) // only shown
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("unsigned %s: got %s %s", path, resp.Status, body)
		}
	}
	if out := s.mustCLI("list"); strings.Contains(out, "error") {
		t.Errorf("signed list printed %s", out)
	}
	if log := s.log.String(); strings.Contains(log, good) {
		t.Error("the secret is in the server's log")
	}
	s.mustCLI("keys", "delete", s.keyID, "--data", s.data)
	if got := code(); got != "UnrecognizedClientException" {
		t.Errorf("deleted key: got %q", got)
	}
}
