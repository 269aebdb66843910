package client

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProvisioned(t *testing.T) {
	ctx := t.Context()
	const path = "/2019-09-30/functions/a/provisioned-concurrency?Qualifier="
	for _, c := range []struct {
		status int
		answer string
		call   func(*Client) (any, error)
		want   seen
		result any
	}{
		{
			200, `{"provisioned":[{"function":"a","qualifier":"live","requested":2,"allocated":2,"available":1,"status":"IN_PROGRESS"}]}`,
			func(c *Client) (any, error) { return c.Provisioned(ctx) },
			seen{Method: "GET", URI: "/_millicent/provisioned"},
			[]Provisioned{{Function: "a", Qualifier: "live", Requested: 2, Allocated: 2, Available: 1, Status: ProvisionedInProgress}},
		},
		{
			202, `{}`,
			func(c *Client) (any, error) { return nil, c.PutProvisioned(ctx, "a", "live", 3) },
			seen{Method: "PUT", URI: path + "live", Body: `{"ProvisionedConcurrentExecutions":3}`}, nil,
		},
		{
			204, ``,
			func(c *Client) (any, error) { return nil, c.DeleteProvisioned(ctx, "a", "7") },
			seen{Method: "DELETE", URI: path + "7"}, nil,
		},
		{
			201, `{"Version":"7"}`,
			func(c *Client) (any, error) { return c.Publish(ctx, "a") },
			seen{Method: "POST", URI: "/2015-03-31/functions/a/versions", Body: `{}`}, "7",
		},
	} {
		client, requests := answering(t, c.status, nil, c.answer)
		result, err := c.call(client)
		if err != nil {
			t.Errorf("%s: %v", c.want.URI, err)
		}
		got := <-requests
		got.Header = nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(c.result, result); diff != "" {
			t.Errorf("%s returned (-want +got):\n%s", c.want.URI, diff)
		}
	}
}
