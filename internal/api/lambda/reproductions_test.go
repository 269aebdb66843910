package lambda

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millicent-run/millicent"
)

// recordedPlatform has the functions that the reproductions are about:
//
//	fn    versions 1 and 2, alias custom of 1, a URL, a permission s3
//	plain nothing but its draft
//	off   no concurrency
//	prov  version 1 with a provisioned environment, alias other of it; version
//	      2, alias held of it with a provisioned environment; 2 are reserved
func recordedPlatform(t *testing.T) *platform {
	s3 := newFakeS3(t)
	p := newPlatform(t, func(cfg *Config) {
		cfg.Packages = NewS3(S3Config{
			Endpoint: s3.URL, Region: testRegion, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
		})
	})
	for _, name := range []string{"fn", "plain", "off", "prov"} {
		p.create(name)
	}
	p.publish("fn", "first")
	p.publish("fn", "second")
	p.must(201, "POST", functionPath("fn", "/aliases"), M{"Name": "custom", "FunctionVersion": "1"})
	p.must(201, "POST", urlPath("fn"), M{"AuthType": "NONE"})
	p.must(201, "POST", functionPath("fn", "/policy"), permission(nil))
	p.must(200, "PUT", concurrencyPath("off"), M{"ReservedConcurrentExecutions": 0})
	p.publish("prov", "first")
	p.publish("prov", "second")
	p.must(201, "POST", functionPath("prov", "/aliases"), M{"Name": "other", "FunctionVersion": "1"})
	p.must(201, "POST", functionPath("prov", "/aliases"), M{"Name": "held", "FunctionVersion": "2"})
	p.must(202, "PUT", provisionedPath("prov", "1"), provisioned(1))
	p.must(202, "PUT", provisionedPath("prov", "held"), provisioned(1))
	p.must(200, "PUT", concurrencyPath("prov"), M{"ReservedConcurrentExecutions": 2})
	return p
}

// newFakeS3 has one bucket, called there, with nothing in it.
func newFakeS3(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, message := "NoSuchBucket", "of this store's own wording"
		if strings.HasPrefix(r.URL.Path, "/there/") {
			code = "NoSuchKey"
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>"))
	}))
	t.Cleanup(s.Close)
	return s
}

func urlPath(name string) string         { return "/2021-10-31/functions/" + name + "/url" }
func tagsPath(resource string) string    { return "/2017-03-31/tags/" + url.PathEscape(resource) }
func arnOf(name string) string           { return millicent.ARN(testRegion, testTenant, name, "") }
func concurrencyPath(name string) string { return "/2017-10-31/functions/" + name + "/concurrency" }

func recursionPath(name string) string { return "/2024-08-31/functions/" + name + "/recursion-config" }

func permission(more M) M {
	return with(M{"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}, more)
}

func routing(version string, weights M) M {
	return M{"Name": "other", "FunctionVersion": version, "RoutingConfig": M{"AdditionalVersionWeights": weights}}
}

func layer(name string) string {
	return "arn:aws:lambda:" + testRegion + ":" + testTenant + ":layer:" + name
}

// hugeZip says of itself that it is too large unzipped.
func hugeZip(t testing.TB) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "huge", UncompressedSize64: maxUnzipped, CompressedSize64: 1})
	if err == nil {
		_, err = f.Write([]byte{0})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

const (
	invalidCode  = "InvalidParameterValueException: "
	notFoundCode = "ResourceNotFoundException: "
	oneError     = "ValidationException: 1 validation error detected: Value "
	notFoundARN  = notFoundCode + "Function not found: arn:<partition>:lambda:<region>:111111111111:function:"
)

func reproductions(p *platform) []reproduction {
	all := createReproductions(p.t)
	all = append(all, nameReproductions()...)
	all = append(all, versionReproductions(p)...)
	all = append(all, aliasReproductions()...)
	all = append(all, urlReproductions()...)
	all = append(all, provisionedReproductions()...)
	all = append(all, permissionReproductions()...)
	all = append(all, tagReproductions()...)
	all = append(all, eventReproductions()...)
	all = append(all, mappingReproductions(p)...)
	return append(all, invokeReproductions()...)
}

func createReproductions(t testing.TB) []reproduction {
	create := func(recorded string, more M, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: fill, method: "POST", path: functionsPath, body: with(createRequest("new"), more)}
	}
	large := func(keys ...string) string { // variables in this order
		vars := `"LARGE_VAR":"` + strings.Repeat("x", 4090) + `"`
		return `{"FunctionName":"new","Runtime":"python3.13","Handler":"a.b","Role":"` + testRole +
			`","Code":{"ZipFile":""},"Environment":{"Variables":{` + strings.Join(append(keys, vars), ",") + `}}}`
	}
	csc := "arn:aws:lambda:us-east-1:111111111111:code-signing-config:csc-0123456789abcdefg"
	all := []reproduction{
		create(oneError+"'r1' at 'role'", M{"Role": "r1"}),
		create(invalidCode+"Value PYTHON3.9 at", M{"Runtime": "PYTHON3.9"}),
		create(invalidCode+"Value non-existent-runtime", M{"Runtime": "non-existent-runtime"}),
		create(oneError+"'[x86_64, arm64]'", M{"Architectures": []string{"x86_64", "arm64"}}),
		create(oneError+"'[X86_64]'", M{"Architectures": []string{"X86_64"}}),
		create(invalidCode+"Could not unzip", M{"Code": M{"ZipFile": base64.StdEncoding.EncodeToString([]byte("no zip file"))}}),
		create(invalidCode+"Unzipped size", M{"Code": M{"ZipFile": hugeZip(t)}}),
		create(invalidCode+"Error occurred while GetObject. S3 Error Code: NoSuchBucket", M{"Code": M{"S3Bucket": "nowhere", "S3Key": "k"}}),
		create(invalidCode+"Error occurred while GetObject. S3 Error Code: NoSuchKey", M{"Code": M{"S3Bucket": "there", "S3Key": "k"}}),
		create("CodeSigningConfigNotFoundException", M{"CodeSigningConfigArn": csc}, "<csc_arn_invalid>", csc),
		create(invalidCode+"Cannot reference more than 5", M{"Layers": []string{
			layer("a:1"), layer("b:1"), layer("c:1"), layer("d:1"), layer("e:1"), layer("f:1"),
		}}),
		create(invalidCode+"Layer version arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>:9", M{"Layers": []string{layer("a:9")}}, "<resource:1>", "a"),
		create(invalidCode+"Layer version arn:<partition>:lambda:<region>:111111111111:layer:doesnotexist", M{"Layers": []string{layer("doesnotexist:1")}}),
		create(invalidCode+"Layers are not in the same", M{"Layers": []string{strings.Replace(layer("a:1"), testRegion, "eu-west-1", 1)}}),
		create(invalidCode+"Two different versions of the same layer are not allowed to be referenced in the same function. arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>:1 and arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>:1",
			M{"Layers": []string{layer("a:1"), layer("a:1")}}, "<resource:1>", "a"),
		create(invalidCode+"Two different versions of the same layer are not allowed to be referenced in the same function. arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>:1 and arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>:2",
			M{"Layers": []string{layer("a:1"), layer("a:2")}}, "<resource:1>", "a"),
		create(oneError+"'[arn:<partition>:lambda:<region>:111111111111:layer:<resource:1>]'", M{"Layers": []string{layer("a")}}, "<resource:1>", "a"),
		create(oneError+"'[<security_group_id_2>]'", M{"VpcConfig": M{"SecurityGroupIds": []string{"grp"}}}, "<security_group_id_2>", "grp"),
		create(oneError+"'[<subnet_id_2>]'", M{"VpcConfig": M{"SubnetIds": []string{"net"}}}, "<subnet_id_2>", "net"),
		create(oneError+"'invalidOption'", M{"SnapStart": M{"ApplyOn": "invalidOption"}}),
		{recorded: invalidCode + `Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: {"LARGE`, method: "POST", path: functionsPath, body: large()},
		{recorded: invalidCode + `Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: {"SMALL`, method: "POST", path: functionsPath, body: large(`"SMALL_VAR":"ok"`)},
		{recorded: oneError + "'invalid' at 'functionVersion'", method: "GET", path: functionsPath + "?FunctionVersion=invalid"},
	}
	for _, runtime := range []string{"dotnetcore3.1", "go1.x", "java8", "nodejs12.x", "nodejs14.x", "provided", "python3.7", "ruby2.7"} {
		all = append(all, create(invalidCode+"The runtime parameter of "+runtime+" is", M{"Runtime": runtime}))
	}
	return all
}

func nameReproductions() []reproduction {
	create := func(recorded, name string, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: fill, method: "POST", path: functionsPath, body: createRequest(name)}
	}
	long := strings.Repeat("b", 140-len(arnOf(""))+1)
	return []reproduction{
		create(invalidCode+"1 validation error detected: Value 'aaaa", strings.Repeat("a", 65)),
		create(oneError+"'arn:<partition>:lambda:<region>:111111111111:function:<function-name>'", arnOf(long), "<function-name>", long),
		create(oneError+"'invalid:function:name'", "invalid:function:name"),
		create(notFoundCode+"Functions from 'ap-southeast-1'", strings.Replace(arnOf("new"), testRegion, "ap-southeast-1", 1)),
		create("AccessDeniedException: \x00", strings.Replace(arnOf("new"), testTenant, "123456789012", 1)),
		{
			recorded: notFoundCode + "Functions from '<wrong-region>'", fill: []string{"<wrong-region>", "eu-central-1"},
			method: "GET", path: functionPath(url.PathEscape(strings.Replace(arnOf("fn"), testRegion, "eu-central-1", 1)), ""),
		},
		{
			recorded: oneError + "'arn:<partition>:lambda:<region>:123400000000@function:myfn'", method: "POST",
			path: functionPath("arn:aws:lambda:us-east-1:123400000000@function:myfn", "/invocations"), body: "{}",
		},
		{recorded: invalidCode + "The derived qualifier", method: "GET", path: functionPath(arnOf("fn")+":1", "?Qualifier=$LATEST")},
		{recorded: notFoundARN + "some-function:$LATEST", method: "GET", path: functionPath(arnOf("some-function")+":$LATEST", "?Qualifier=$LATEST")},
		{recorded: notFoundARN + "<fn-name>:1221", fill: []string{"<fn-name>", "fn"}, method: "GET", path: functionPath("fn", "/configuration?Qualifier=1221")},
		{recorded: notFoundARN + "<nonexisting-fn-name>\x00", fill: []string{"<nonexisting-fn-name>", "gone"}, method: "GET", path: functionPath("gone", "")},
		{recorded: notFoundARN + "csc-test-doesnotexist", method: "GET", path: "/2020-06-30/functions/csc-test-doesnotexist/code-signing-config"},
		{recorded: notFoundARN + "<function-name:1>\x00", fill: []string{"<function-name:1>", "gone"}, method: "DELETE", path: functionPath("gone", "")},
		{recorded: notFoundARN + "<fn-name>\x00", fill: []string{"<fn-name>", "gone"}, method: "DELETE", path: functionPath("gone", "?Qualifier=1233")},
		{recorded: invalidCode + "$LATEST version cannot be deleted", method: "DELETE", path: functionPath("fn", "?Qualifier=$LATEST")},
		{recorded: notFoundARN + "doesnotexist\x00", method: "PUT", path: concurrencyPath("doesnotexist"), body: M{"ReservedConcurrentExecutions": 1}},
		{recorded: invalidCode + "This operation is permitted", method: "PUT", path: concurrencyPath(arnOf("fn") + ":$LATEST"), body: M{"ReservedConcurrentExecutions": 0}},
		{recorded: invalidCode + "Specified ReservedConcurrentExecutions", method: "PUT", path: concurrencyPath("fn"), body: M{"ReservedConcurrentExecutions": 1000}},
		{recorded: oneError + "'InvalidValue' at 'recursiveLoop'", method: "PUT", path: recursionPath("fn"), body: M{"RecursiveLoop": "InvalidValue"}},
		{recorded: invalidCode + "Please don't provide ImageUri", method: "PUT", path: functionPath("fn", "/code"), body: M{"ImageUri": "image"}},
		{recorded: "PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. Call the GetFunction/", method: "PUT", path: functionPath("fn", "/code"), body: M{"ZipFile": "", "RevisionId": "wrong"}},
		{
			recorded: "ResourceConflictException: The operation cannot be performed at this time. An update", fill: []string{"<function-name:1>", "fn"},
			err: readyToChange(&millicent.Function{Draft: &millicent.Version{LastUpdate: millicent.UpdateInProgress}},
				name{region: testRegion, account: testTenant, function: "fn"}, nil),
		},
	}
}

func versionReproductions(p *platform) []reproduction {
	f, err := p.store.Function(testTenant, "fn")
	if err != nil {
		p.t.Fatal(err)
	}
	publish := func(sha string) reproduction {
		return reproduction{
			recorded: invalidCode + "CodeSHA256 (" + sha + ")", fill: []string{"<code-sha256:1>", codeSHA256(f.Draft.Package)},
			method: "POST", path: functionPath("fn", "/versions"), body: M{"CodeSha256": sha},
		}
	}
	return []reproduction{publish("somenonexistentsha256"), publish(strings.Repeat("a", 64))}
}

func aliasReproductions() []reproduction {
	create := func(recorded string, body M, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: append(fill, "<function-name:1>", "fn"), method: "POST", path: functionPath("fn", "/aliases"), body: body}
	}
	return []reproduction{
		create(invalidCode+"Number of items in", routing("1", M{"1": .8, "2": .2})),
		create(oneError+"'{2=2.0}'", routing("1", M{"2": 2})),
		create(oneError+"'{2=-1.0}'", routing("1", M{"2": -1})),
		create(oneError+"'{$LATEST=0.5}'", routing("1", M{"$LATEST": .5})),
		create(invalidCode+"Invalid function version 1.", routing("1", M{"1": .5})),
		create(notFoundARN+"<function-name:1>:10", routing("10", M{"2": .5})),
		create(notFoundARN+"<function-name:1>:10", routing("1", M{"10": .5})),
		create(invalidCode+"$LATEST is not supported", routing("$LATEST", M{"1": .5})),
		create("ResourceConflictException: Alias already exists", with(routing("1", M{"2": .5}), M{"Name": "custom"})),
		create(oneError+"'2024' at 'name'", M{"Name": "2024", "FunctionVersion": "1"}),
		{recorded: notFoundARN + "<function-name:1>-unknown:1", fill: []string{"<function-name:1>", "fn"}, method: "POST", path: functionPath("fn-unknown", "/aliases"), body: routing("1", M{"2": .5})},
		{recorded: notFoundCode + "Cannot find alias arn: arn:<partition>:lambda:<region>:111111111111:function:<function-name:1>:non-existent", fill: []string{"<function-name:1>", "fn"}, method: "GET", path: functionPath("fn", "/aliases/non-existent")},
		{recorded: notFoundCode + "Alias not found", fill: []string{"<function-name:1>", "fn"}, method: "PUT", path: functionPath("fn", "/aliases/non-existent"), body: M{}},
		{recorded: notFoundARN + "<function-name:1>:aliasdoesnotexist", fill: []string{"<function-name:1>", "fn"}, method: "GET", path: functionPath("fn", "?Qualifier=aliasdoesnotexist")},
	}
}

func urlReproductions() []reproduction {
	return []reproduction{
		{recorded: oneError + "'UNKNOWN' at 'invokeMode'", method: "POST", path: urlPath("plain"), body: M{"AuthType": "NONE", "InvokeMode": "UNKNOWN"}},
		{recorded: oneError + "'1' at 'qualifier'", method: "POST", path: urlPath("doesnotexist") + "?Qualifier=1", body: M{"AuthType": "NONE"}},
		{recorded: oneError + "'2' at 'qualifier'", method: "GET", path: urlPath("fn") + "?Qualifier=2"},
		{recorded: oneError + "'$LATEST' at 'qualifier'", method: "DELETE", path: urlPath("fn") + "?Qualifier=$LATEST"},
		{recorded: notFoundCode + "Function does not exist", method: "POST", path: urlPath("doesnotexist"), body: M{"AuthType": "NONE"}},
		{recorded: notFoundCode + "Function does not exist", method: "POST", path: urlPath("fn") + "?Qualifier=v1", body: M{"AuthType": "NONE"}},
		{recorded: notFoundCode + "Function does not exist", method: "GET", path: urlPath("doesnotexist") + "s"},
		{recorded: notFoundCode + "The resource you requested", method: "GET", path: urlPath("doesnotexist")},
		{recorded: notFoundCode + "The resource you requested", method: "GET", path: urlPath("plain")},
		{recorded: notFoundCode + "The resource you requested", method: "DELETE", path: urlPath("plain")},
		{recorded: notFoundCode + "The resource you requested", method: "PUT", path: urlPath("plain"), body: M{"AuthType": "AWS_IAM"}},
		{recorded: invalidCode + "The derived qualifier", method: "GET", path: urlPath("fn:custom-doesnotmatch") + "?Qualifier=custom"},
		{recorded: "ResourceConflictException: Failed to create function url", fill: []string{"<resource:1>", "fn"}, method: "POST", path: urlPath("fn"), body: M{"AuthType": "NONE"}},
	}
}

func permissionReproductions() []reproduction {
	add := func(recorded, name, query string, more M, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: append(fill, "<function-name>", "fn"), method: "POST", path: functionPath(name, "/policy"+query), body: permission(more)}
	}
	const wrongRevision = "PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. Call the GetPolicy"
	return []reproduction{
		add(oneError+"'example.com' at 'statementId'", "fn", "", M{"StatementId": "example.com"}),
		add(invalidCode+"The derived qualifier", "fn:alias-not-42", "?Qualifier=42", nil),
		add(invalidCode+"We currently do not support", "fn:$LATEST", "?Qualifier=$LATEST", nil),
		add(invalidCode+"The provided principal", "fn", "", M{"StatementId": "x", "Principal": "invalid.nonaws.com"}),
		add(notFoundARN+"doesnotexist\x00", "doesnotexist", "", nil),
		add(notFoundCode+"Cannot find alias arn: arn:<partition>:lambda:<region>:111111111111:function:<function-name>:alias-doesnotexist", "fn:alias-doesnotexist", "", nil),
		add(notFoundARN+"<function-name>:42", "fn", "?Qualifier=42", nil),
		add(oneError+"'invalid-qualifier-with-?-char'", "fn", "?Qualifier=invalid-qualifier-with-%3F-char", nil),
		add(notFoundARN+"<function-name>:valid-with-$", "fn", "?Qualifier=valid-with-$-but-doesnotexist", nil),
		add("ResourceConflictException: The statement id (s3)", "fn", "", nil),
		add(wrongRevision, "fn", "", M{"StatementId": "x", "RevisionId": "wrong"}),
		{recorded: wrongRevision, method: "DELETE", path: functionPath("fn", "/policy/s3?RevisionId=wrong")},
		{recorded: notFoundCode + "The resource you requested", method: "GET", path: functionPath("doesnotexist", "/policy")},
		{recorded: notFoundCode + "The resource you requested", method: "GET", path: functionPath("fn", "/policy?Qualifier=77")},
		{recorded: notFoundCode + "No policy found for", method: "DELETE", path: functionPath("doesnotexist", "/policy/s3")},
		{recorded: notFoundCode + "No policy is associated", method: "DELETE", path: functionPath("plain", "/policy/s3")},
		{recorded: notFoundCode + "Statement non-existent", method: "DELETE", path: functionPath("fn", "/policy/non-existent")},
		{
			recorded: notFoundCode + "Cannot find alias arn: arn:<partition>:lambda:<region>:111111111111:function:<function-name>:alias-doesnotexist", fill: []string{"<function-name>", "fn"},
			method: "DELETE", path: functionPath("fn", "/policy/s3?Qualifier=alias-doesnotexist"),
		},
	}
}

func tagReproductions() []reproduction {
	tags := M{}
	for i := range 51 {
		tags[strings.Repeat("k", i+1)] = "v"
	}
	one := M{"Tags": M{"a": "b"}}
	other := func(kind, name string) string { return strings.Replace(arnOf(name), ":function:", ":"+kind+":", 1) }
	uuid := "01234567-89ab-cdef-0123-456789abcdef"
	return []reproduction{
		{recorded: oneError + "'arn:<partition>:something'", method: "POST", path: tagsPath("arn:aws:something"), body: one},
		{recorded: notFoundARN + "doesnotexist\x00", method: "POST", path: tagsPath(arnOf("doesnotexist")), body: one},
		{recorded: notFoundARN + "<resource-name>", fill: []string{"<resource-name>", "gone"}, method: "GET", path: tagsPath(arnOf("gone"))},
		{recorded: invalidCode + "Tags on function aliases", method: "POST", path: tagsPath(arnOf("fn") + ":v1"), body: one},
		{recorded: invalidCode + "An error occurred and the request", method: "POST", path: tagsPath(arnOf("fn")), body: M{"Tags": M{}}},
		{recorded: oneError + "null at 'tagKeys'", method: "DELETE", path: tagsPath(arnOf("fn"))},
		{recorded: invalidCode + "Number of tags exceeds", method: "POST", path: tagsPath(arnOf("fn")), body: M{"Tags": tags}},
		{recorded: oneError + "'arn:<partition>:lambda:<region>:111111111111:foobar", fill: []string{"<resource-name>", "x"}, method: "GET", path: tagsPath(other("foobar", "x"))},
		{recorded: oneError + "'arn:<partition>:lambda:<region>:111111111111:capacity-provider", fill: []string{"<resource-name>", "x"}, method: "GET", path: tagsPath(other("capacity-provider", "x") + ":alias")},
		{recorded: oneError + "'arn:<partition>:lambda:<region>:111111111111:event-source-mapping", fill: []string{"<resource-name>", uuid}, method: "GET", path: tagsPath(other("event-source-mapping", uuid) + ":alias")},
		{recorded: notFoundCode + "Capacity provider not found", fill: []string{"<resource-name>", "x"}, method: "GET", path: tagsPath(other("capacity-provider", "x"))},
		{recorded: notFoundCode + "Event source mapping not found", fill: []string{"<resource-name>", uuid}, method: "GET", path: tagsPath(other("event-source-mapping", uuid))},
	}
}

func invokeReproductions() []reproduction {
	const content = "InvalidRequestContentException: Could not parse request body into json: Could not parse payload into json: "
	return []reproduction{
		{recorded: content + "Invalid UTF-8", method: "POST", path: functionPath("fn", "/invocations"), body: "\"\x87\""},
		{recorded: content + "Unexpected character", method: "POST", path: functionPath("fn", "/invocations"), body: "\x99"},
		{recorded: content + "Unexpected character", method: "POST", path: functionPath("fn", "/invocations"), body: "\x99", header: []string{"X-Amz-Invocation-Type", "Event"}},
		{recorded: notFoundARN + "doesnotexist:$LATEST", method: "POST", path: functionPath("doesnotexist", "/invocations"), body: "{}"},
		{recorded: notFoundARN + "<function-name:1>:non-existent-alias", fill: []string{"<function-name:1>", "fn"}, method: "POST", path: functionPath("fn", "/invocations?Qualifier=non-existent-alias"), body: "{}"},
		{recorded: "TooManyRequestsException: Rate Exceeded.", method: "POST", path: functionPath("off", "/invocations"), body: "{}"},
	}
}
