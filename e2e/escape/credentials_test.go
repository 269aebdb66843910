package escape

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// key makes an access key of an account, the server's own when it is empty.
func key(t *testing.T, s *millicenttest.Server, account string) (id, secret string) {
	t.Helper()
	args := []string{"keys", "create", "--data", s.Data, "--json"}
	if account != "" {
		args = append(args, "--account", account)
	}
	var made struct{ ID, Secret string }
	out := s.CLI(t, args...)
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.ID == "" {
		t.Fatalf("keys create printed %s (%v)", out, err)
	}
	return made.ID, made.Secret
}

func static(id, secret, token string) func(context.Context) (aws.Credentials, error) {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
	}
}

// code is the API's name of an error; empty for none.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}
