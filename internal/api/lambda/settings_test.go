package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestConfiguration checks that what is set is shown, kept over an update that
// does not name it, and cleared by one that does.
func TestConfiguration(t *testing.T) {
	p := newPlatform(t, nil)
	p.must(201, "POST", functionsPath, with(createRequest("f"), with(everything(), M{"Publish": false})))
	p.settled("f")
	p.must(200, "PUT", functionPath("f", "/configuration"), M{"Description": "new"})
	p.settled("f")
	got := p.must(200, "GET", functionPath("f", "/configuration"), nil)
	sum := sha256.Sum256(zipOf("app.py", "def handler(e, c): return e"))
	want := M{
		"Description": "new", "Timeout": 900., "MemorySize": 10240., "PackageType": "Zip", "Version": "$LATEST",
		"VpcConfig":        M{"SubnetIds": []any{"subnet-1"}, "SecurityGroupIds": []any{"sg-1"}, "VpcId": "", "Ipv6AllowedForDualStack": false},
		"DeadLetterConfig": M{"TargetArn": "arn:aws:sqs:us-east-1:111111111111:dead"},
		"Environment":      M{"Variables": M{"NAME": "value", "other_1": ""}},
		"KMSKeyArn":        "arn:aws:kms:us-east-1:111111111111:key/1",
		"TracingConfig":    M{"Mode": "Active"}, "Architectures": []any{"arm64"}, "EphemeralStorage": M{"Size": 10240.},
		"SnapStart":     M{"ApplyOn": "None", "OptimizationStatus": "Off"},
		"LoggingConfig": M{"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "INFO", "LogGroup": "/of/mine"},
		"CodeSha256":    base64.StdEncoding.EncodeToString(sum[:]),
		"State":         "Active", "LastUpdateStatus": "Successful", "FunctionArn": arnOf("f"),
	}
	for k, v := range want {
		wantEqual(t, M{k: got[k]}, M{k: v})
	}
	p.must(200, "PUT", functionPath("f", "/configuration"), M{
		"Environment": M{"Variables": M{}}, "LoggingConfig": M{"LogFormat": "Text"}, "VpcConfig": M{"SubnetIds": []string{}, "SecurityGroupIds": []string{}},
	})
	got = p.must(200, "GET", functionPath("f", "/configuration?Qualifier=$LATEST"), nil)
	wantEqual(t, M{"env": got["Environment"], "log": got["LoggingConfig"], "arn": got["FunctionArn"]},
		M{"env": nil, "log": M{"LogFormat": "Text", "LogGroup": "/of/mine"}, "arn": arnOf("f:$LATEST")})
}

// TestPackages checks where packages come from and where they can be fetched.
func TestPackages(t *testing.T) {
	source := &fakeSource{zipOf("app.py", "from s3")}
	p := newPlatform(t, func(cfg *Config) { cfg.Packages = source })
	p.must(201, "POST", functionsPath, with(createRequest("f"), M{"Code": M{"S3Bucket": "there", "S3Key": "a/b.zip", "S3ObjectVersion": "7"}}))
	f := p.settled("f")
	sum := sha256.Sum256(source.zip)
	if want := fmt.Sprintf("%x", sum); f.Draft.Package.SHA256 != want {
		t.Errorf("package %s, want %s", f.Draft.Package.SHA256, want)
	}
	got := p.must(200, "GET", functionPath("f", ""), nil)
	wantEqual(t, got["Code"], any(M{"RepositoryType": "S3", "Location": "http://127.0.0.1:4566/packages/111111111111/" + f.Draft.Package.SHA256}))

	before := f.Draft.Revision
	p.must(200, "PUT", functionPath("f", "/code"), M{"DryRun": true, "ZipFile": base64.StdEncoding.EncodeToString(zipOf("app.py", "dry"))})
	if after := p.settled("f"); after.Draft.Revision != before || after.Draft.Package != f.Draft.Package {
		t.Errorf("a dry run changed the function")
	}
}

type fakeSource struct{ zip []byte }

func (s *fakeSource) Fetch(_ context.Context, bucket, key, version string, _ int64) ([]byte, error) {
	if bucket != "there" || key != "a/b.zip" || version != "7" {
		return nil, invalid("no %s/%s of version %s", bucket, key, version)
	}
	return s.zip, nil
}

// TestReservedConcurrency checks that no set of reservations, made at once,
// takes what must stay unreserved.
func TestReservedConcurrency(t *testing.T) {
	p := newPlatform(t, nil)
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		p.create(name)
	}
	var wg sync.WaitGroup
	granted := make([]bool, len(names))
	for i, name := range names {
		wg.Go(func() {
			granted[i] = p.call("PUT", concurrencyPath(name), M{"ReservedConcurrentExecutions": 300}).status == 200
		})
	}
	wg.Wait()
	count := 0
	for _, g := range granted {
		if g {
			count++
		}
	}
	if count != 3 {
		t.Errorf("%d reservations of 300 were granted, want 3", count)
	}
	got := p.must(200, "GET", "/2016-08-19/account-settings", nil)
	limit, usage := got["AccountLimit"].(M), got["AccountUsage"].(M)
	if limit["UnreservedConcurrentExecutions"] != 100. || limit["ConcurrentExecutions"] != 1000. || usage["FunctionCount"] != 4. {
		t.Errorf("%v", got)
	}
}

// TestPolicy checks the text of a policy.
func TestPolicy(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("f")
	before := p.settled("f").Draft.Revision
	add := func(more M) M {
		t.Helper()
		out := p.must(201, "POST", functionPath("f", "/policy"), permission(more))
		var statement M
		if err := json.Unmarshal([]byte(out["Statement"].(string)), &statement); err != nil {
			t.Fatal(err)
		}
		return statement
	}
	wantEqual(t, add(M{"SourceArn": "arn:aws:s3:::bucket", "SourceAccount": testTenant}), M{
		"Sid": "s3", "Effect": "Allow", "Principal": M{"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction", "Resource": arnOf("f"),
		"Condition": M{"ArnLike": M{"AWS:SourceArn": "arn:aws:s3:::bucket"}, "StringEquals": M{"AWS:SourceAccount": testTenant}},
	})
	wantEqual(t, add(M{"StatementId": "url", "Principal": "*", "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"}), M{
		"Sid": "url", "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunctionUrl", "Resource": arnOf("f"),
		"Condition": M{"StringEquals": M{"lambda:FunctionUrlAuthType": "NONE"}},
	})
	wantEqual(t, add(M{"StatementId": "acct", "Principal": "222222222222", "InvokedViaFunctionUrl": true})["Principal"], any(M{"AWS": "arn:aws:iam::222222222222:root"}))
	got := p.must(200, "GET", functionPath("f", "/policy"), nil)
	if !strings.HasPrefix(got["Policy"].(string), `{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s3"`) {
		t.Errorf("%s", got["Policy"])
	}
	if got["RevisionId"] == before {
		t.Error("the revision did not change")
	}
	for _, sid := range []string{"s3", "url", "acct"} {
		p.must(200, "GET", functionPath("f", "/policy"), nil)
		p.must(204, "DELETE", functionPath("f", "/policy/"+sid), nil)
	}
	p.must(404, "GET", functionPath("f", "/policy"), nil)
}

// TestURLs checks what of a URL changes and what stays.
func TestURLs(t *testing.T) {
	p := newPlatform(t, nil)
	p.create("f")
	created := p.must(201, "POST", urlPath("f"), M{"AuthType": "NONE", "Cors": M{"MaxAge": 5}})
	if _, shown := created["InvokeMode"]; shown {
		t.Error("creating shows an InvokeMode that was not given")
	}
	got := p.must(200, "GET", urlPath("f"), nil)
	if got["InvokeMode"] != "BUFFERED" || got["FunctionUrl"] != created["FunctionUrl"] {
		t.Errorf("%v", got)
	}
	updated := p.must(200, "PUT", urlPath("f"), M{"AuthType": "AWS_IAM", "Cors": M{}, "InvokeMode": "RESPONSE_STREAM"})
	if updated["FunctionUrl"] != created["FunctionUrl"] || updated["AuthType"] != "AWS_IAM" || updated["Cors"] != nil || updated["InvokeMode"] != "RESPONSE_STREAM" {
		t.Errorf("%v", updated)
	}
	id := strings.TrimPrefix(strings.Split(created["FunctionUrl"].(string), ".")[0], "http://")
	if f, u, err := p.store.FunctionByURL(id); err != nil || f.Name != "f" || u.AuthType != "AWS_IAM" || len(id) != 32 {
		t.Errorf("%q finds %v, %v, %v", id, f, u, err)
	}
}
