package lambda

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	for s, want := range map[string]name{
		"f":                         {function: "f"},
		"f:1":                       {function: "f", qualifier: "1"},
		"f:$LATEST":                 {function: "f", qualifier: "$LATEST"},
		"function:f":                {function: "f"},
		"function:f:live":           {function: "f", qualifier: "live"},
		"function":                  {function: "function"},
		"111111111111:f":            {account: testTenant, function: "f"},
		"111111111111":              {function: "111111111111"},
		"us-east-1":                 {function: "us-east-1"},
		"us-gov-west-1:f":           {region: "us-gov-west-1", function: "f"},
		arnOf("f"):                  {region: testRegion, account: testTenant, function: "f"},
		arnOf("f") + ":a_b-c":       {region: testRegion, account: testTenant, function: "f", qualifier: "a_b-c"},
		"111111111111:function:f:2": {account: testTenant, function: "f", qualifier: "2"},
	} {
		wantName := want
		if got := parseName(s); got != wantName {
			t.Errorf("%s is %+v, want %+v", s, got, wantName)
		}
	}
}

// FuzzParseName checks that what the model's pattern lets pass has a function
// name, and that nothing of it is lost.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"f", "f:1", arnOf("f"), arnOf("f") + ":live", "111111111111:function:f", "arn:arn:lambda:f", "function:function"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := parseName(s)
		if !shapeNamespacedFunctionName.pattern.matches(s) {
			return
		}
		if n.function == "" || strings.Contains(n.function, ":") || strings.Contains(n.qualifier, ":") {
			t.Errorf("%q is %+v", s, n)
		}
		if tail := n.function + ":" + n.qualifier; !strings.HasSuffix(s+":", strings.TrimSuffix(tail, ":")+":") {
			t.Errorf("%q is %+v", s, n)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("GET", "/2015-03-31/functions/f/aliases/a")
	f.Add("POST", "/2017-03-31/tags/arn%3Aaws")
	f.Add("GET", "//%zz//")
	table := newRoutingTable((&Handler{}).bindings())
	f.Fuzz(func(t *testing.T, method, path string) {
		r := newURLRequest(method, path)
		if r == nil {
			return
		}
		route, labels, err := table.find(r)
		if err == nil && len(labels) != strings.Count(route.path, "{") {
			t.Errorf("%s %s is %s with labels %v", method, path, route.name, labels)
		}
	})
}

// newURLRequest returns a request of a path, nil when the path is none.
func newURLRequest(method, path string) *http.Request {
	u, err := url.Parse(path)
	if err != nil {
		return nil
	}
	return &http.Request{Method: method, URL: u}
}
