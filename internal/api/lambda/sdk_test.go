package lambda

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// newClient returns AWS's own client of a platform.
func newClient(t *testing.T, p *platform) *lambda.Client {
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return lambda.New(lambda.Options{
		BaseEndpoint: aws.String(srv.URL),
		Region:       testRegion,
		Credentials:  credentials.NewStaticCredentialsProvider("id", "secret", ""),
		HTTPClient:   &http.Client{Transport: millicenttest.WholeBodies(srv.Client().Transport.(*http.Transport))},
	})
}

// TestClientLifecycle drives a function's life with AWS's own client and its
// waiters.
func TestClientLifecycle(t *testing.T) {
	c := newClient(t, newPlatform(t, nil))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	name := aws.String("life")
	created, err := c.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: name, Runtime: types.RuntimePython313, Handler: aws.String("app.handler"), Role: aws.String(testRole),
		Code: &types.FunctionCode{ZipFile: zipOf("app.py", "one")}, Tags: map[string]string{"k": "v"},
	})
	must(err)
	if created.State != types.StatePending || aws.ToString(created.StateReason) != "The function is being created." {
		t.Errorf("created in state %s because %q", created.State, aws.ToString(created.StateReason))
	}
	quick := func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = time.Millisecond }
	must(lambda.NewFunctionActiveV2Waiter(c).Wait(ctx, &lambda.GetFunctionInput{FunctionName: name}, time.Minute, quick))
	got, err := c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: name})
	must(err)
	if *got.Configuration.RevisionId == *created.RevisionId || got.Tags["k"] != "v" {
		t.Errorf("the revision is still %s, or the tags %v", *created.RevisionId, got.Tags)
	}

	updated, err := c.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName: name, ZipFile: zipOf("app.py", "two"), RevisionId: got.Configuration.RevisionId,
	})
	must(err)
	if updated.LastUpdateStatus != types.LastUpdateStatusInProgress || *updated.CodeSha256 == *created.CodeSha256 {
		t.Errorf("update is %s, the code %s", updated.LastUpdateStatus, *updated.CodeSha256)
	}
	quickUpdate := func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = time.Millisecond }
	must(lambda.NewFunctionUpdatedV2Waiter(c).Wait(ctx, &lambda.GetFunctionInput{FunctionName: name}, time.Minute, quickUpdate))

	published, err := c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: name, CodeSha256: updated.CodeSha256})
	must(err)
	again, err := c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: name})
	must(err)
	if *published.Version != "1" || *again.Version != "1" || *published.FunctionArn != arnOf("life:1") {
		t.Errorf("published %s (%s), then %s", *published.Version, *published.FunctionArn, *again.Version)
	}
	quickPublish := func(o *lambda.PublishedVersionActiveWaiterOptions) { o.MinDelay = time.Millisecond }
	must(lambda.NewPublishedVersionActiveWaiter(c).Wait(ctx,
		&lambda.GetFunctionConfigurationInput{FunctionName: name, Qualifier: aws.String("1")}, time.Minute, quickPublish))

	_, err = c.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: name, Name: aws.String("live"), FunctionVersion: aws.String("1")})
	must(err)
	res, err := c.Invoke(ctx, &lambda.InvokeInput{FunctionName: name, Qualifier: aws.String("live"), Payload: []byte(`{"a":1}`), LogType: types.LogTypeTail})
	must(err)
	if string(res.Payload) != `{"a":1}` || aws.ToString(res.ExecutedVersion) != "1" || aws.ToString(res.LogResult) == "" || res.StatusCode != 200 {
		t.Errorf("invoked: %d %s by version %s", res.StatusCode, res.Payload, aws.ToString(res.ExecutedVersion))
	}
	must(deleteAll(ctx, c, name))
}

// deleteAll deletes a function and what hangs on it, and checks that a version
// that an alias names is kept until then.
func deleteAll(ctx context.Context, c *lambda.Client, name *string) error {
	_, err := c.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: name, Qualifier: aws.String("1")})
	var inUse *types.ResourceConflictException
	if !errors.As(err, &inUse) {
		return fmt.Errorf("deleting a version in use: %w", err)
	}
	if _, err := c.DeleteAlias(ctx, &lambda.DeleteAliasInput{FunctionName: name, Name: aws.String("live")}); err != nil {
		return err
	}
	out, err := c.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: name})
	if err != nil {
		return err
	}
	if out.StatusCode != 204 {
		return fmt.Errorf("deleted with status %d", out.StatusCode)
	}
	_, err = c.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: name})
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) {
		return fmt.Errorf("getting what is deleted: %w", err)
	}
	return nil
}

// TestClientPages lists with AWS's own paginators, a page at a time.
func TestClientPages(t *testing.T) {
	p := newPlatform(t, nil)
	c := newClient(t, p)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, name := range []string{"a", "a-b", "b"} {
		p.create(name)
	}
	p.publish("a", "one")
	p.publish("a", "two")
	p.must(201, "POST", functionPath("a", "/aliases"), M{"Name": "x", "FunctionVersion": "1"})
	p.must(201, "POST", functionPath("a", "/aliases"), M{"Name": "y", "FunctionVersion": "1"})
	p.must(201, "POST", urlPath("a"), M{"AuthType": "NONE"})
	p.must(201, "POST", urlPath("a")+"?Qualifier=x", M{"AuthType": "NONE"})

	one := aws.Int32(1)
	var got []string
	all := lambda.NewListFunctionsPaginator(c, &lambda.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll, MaxItems: one})
	for all.HasMorePages() {
		page, err := all.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			got = append(got, *f.FunctionName+":"+*f.Version)
		}
	}
	wantEqual(t, got, []string{"a:$LATEST", "a:1", "a:2", "a-b:$LATEST", "b:$LATEST"})

	got = nil
	versions := lambda.NewListVersionsByFunctionPaginator(c, &lambda.ListVersionsByFunctionInput{FunctionName: aws.String("a"), MaxItems: one})
	for versions.HasMorePages() {
		page, err := versions.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Versions {
			got = append(got, *f.FunctionArn)
		}
	}
	wantEqual(t, got, []string{arnOf("a:$LATEST"), arnOf("a:1"), arnOf("a:2")})

	got = nil
	aliases := lambda.NewListAliasesPaginator(c, &lambda.ListAliasesInput{FunctionName: aws.String("a"), MaxItems: one})
	for aliases.HasMorePages() {
		page, err := aliases.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page.Aliases {
			got = append(got, *a.Name)
		}
	}
	wantEqual(t, got, []string{"x", "y"})

	got = nil
	urls := lambda.NewListFunctionUrlConfigsPaginator(c, &lambda.ListFunctionUrlConfigsInput{FunctionName: aws.String("a"), MaxItems: one})
	for urls.HasMorePages() {
		page, err := urls.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.FunctionUrlConfigs {
			got = append(got, *u.FunctionArn)
		}
	}
	wantEqual(t, got, []string{arnOf("a"), arnOf("a:x")})
}
