package url

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

// corsHeaders keeps what matters to a browser's decision.
func corsHeaders(h http.Header) map[string]string {
	out := map[string]string{}
	for name := range h {
		if name == "Vary" || strings.HasPrefix(name, "Access-Control-") {
			out[strings.TrimPrefix(name, "Access-Control-")] = h.Get(name)
		}
	}
	return out
}

func TestPreflight(t *testing.T) {
	yes, day := true, 86400
	ask := []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-b"}
	for name, c := range map[string]struct {
		cors millicent.CORS
		want map[string]string
	}{
		"everything": {
			millicent.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, MaxAge: &day},
			map[string]string{"Allow-Origin": "*", "Allow-Methods": "*", "Allow-Headers": "*", "Max-Age": "86400"},
		},
		"everything with credentials": {
			millicent.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, AllowCredentials: &yes},
			map[string]string{"Allow-Origin": "https://a.example", "Allow-Methods": "PUT", "Allow-Headers": "x-b", "Allow-Credentials": "true", "Vary": "Origin"},
		},
		"listed": {
			millicent.CORS{AllowOrigins: []string{"https://b.example", "https://A.example"}, AllowMethods: []string{"GET", "PUT"}, AllowHeaders: []string{"x-a", "x-b"}},
			map[string]string{"Allow-Origin": "https://a.example", "Allow-Methods": "GET,PUT", "Allow-Headers": "x-a,x-b", "Vary": "Origin"},
		},
		"not listed": {
			millicent.CORS{AllowOrigins: []string{"https://b.example"}, AllowMethods: []string{"*"}, AllowCredentials: &yes},
			map[string]string{"Vary": "Origin"},
		},
		"nothing configured": {millicent.CORS{}, map[string]string{"Vary": "Origin"}},
	} {
		p := answering(`"ran"`)
		p.url.AuthType, p.url.CORS = "AWS_IAM", &c.cors // a browser does not sign preflights
		resp, body, err := p.serve(t, newRequest("OPTIONS", "/", ask...))
		if err != nil || resp.StatusCode != 200 || body != "" || p.got != nil {
			t.Errorf("%s: %d %q, ran %v, error %v", name, resp.StatusCode, body, p.got != nil, err)
		}
		if diff := cmp.Diff(c.want, corsHeaders(resp.Header)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOptionsReachesTheFunction(t *testing.T) {
	cors := &millicent.CORS{AllowOrigins: []string{"*"}}
	for name, c := range map[string]struct {
		cors   *millicent.CORS
		header []string
	}{
		"no CORS configured": {nil, []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT"}},
		"no preflight":       {cors, []string{"Origin", "https://a.example"}},
		"no origin":          {cors, nil},
	} {
		p := answering(`"ran"`)
		p.url.CORS = c.cors
		if _, body, err := p.serve(t, newRequest("OPTIONS", "/", c.header...)); body != "ran" || err != nil {
			t.Errorf("%s: %q, error %v", name, body, err)
		}
	}
}

func TestCrossOriginAnswer(t *testing.T) {
	const own = `{"statusCode":200,"headers":{"access-control-allow-origin":"https://forged.example","access-control-allow-methods":"X","vary":"Accept"}}`
	p := answering(own)
	p.url.CORS = &millicent.CORS{AllowOrigins: []string{"https://a.example"}, ExposeHeaders: []string{"x-a", "x-b"}}
	resp, _, _ := p.serve(t, newRequest("GET", "/", "Origin", "https://a.example"))
	want := map[string]string{"Allow-Origin": "https://a.example", "Expose-Headers": "x-a,x-b", "Vary": "Accept"}
	if diff := cmp.Diff(want, corsHeaders(resp.Header)); diff != "" {
		t.Errorf("allowed (-want +got):\n%s", diff)
	}
	resp, _, _ = p.serve(t, newRequest("GET", "/", "Origin", "https://b.example"))
	if diff := cmp.Diff(map[string]string{"Vary": "Accept"}, corsHeaders(resp.Header)); diff != "" {
		t.Errorf("not allowed (-want +got):\n%s", diff)
	}
	p.url.CORS = nil
	resp, _, _ = p.serve(t, newRequest("GET", "/", "Origin", "https://b.example"))
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "https://forged.example" {
		t.Errorf("without CORS configured the function's own header is %q", got)
	}
}
