package console

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}

func TestServes(t *testing.T) {
	for path, want := range map[string]struct {
		contentType string
		status      int
	}{
		"/_console/":                 {"text/html; charset=utf-8", 200},
		"/_console/functions/hello":  {"text/html; charset=utf-8", 200},
		"/_console/main.js":          {"text/javascript; charset=utf-8", 200},
		"/_console/base.css":         {"text/css; charset=utf-8", 200},
		"/_console/icon.svg":         {"image/svg+xml", 200},
		"/_console/dist/uPlot.js":    {"text/javascript; charset=utf-8", 200},
		"/_console/dist/uPlot.css":   {"text/css; charset=utf-8", 200},
		"/_console/dist/README.md":   {"text/plain; charset=utf-8", 404},
		"/_console/console.go":       {"text/plain; charset=utf-8", 404},
		"/_console/../console.go":    {"text/plain; charset=utf-8", 404},
		"/_console/static/main.js":   {"text/plain; charset=utf-8", 404},
		"/_console/package.json":     {"text/plain; charset=utf-8", 404},
		"/_console/dist/../main.css": {"text/plain; charset=utf-8", 404},
	} {
		resp, body := get(t, "GET", path)
		h := resp.Header
		if resp.StatusCode != want.status || h.Get("Content-Type") != want.contentType {
			t.Errorf("%s: %d %s", path, resp.StatusCode, h.Get("Content-Type"))
		}
		if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", path, h)
		}
		if want.status != 200 {
			continue
		}
		if resp, _ := get(t, "GET", path, "If-None-Match", h.Get("ETag")); resp.StatusCode != 304 {
			t.Errorf("%s, not changed: %d", path, resp.StatusCode)
		}
		if resp, again := get(t, "HEAD", path); resp.StatusCode != 200 || again != "" && body != "" {
			t.Errorf("HEAD %s: %d %q", path, resp.StatusCode, again)
		}
	}
	if resp, _ := get(t, "POST", "/_console/"); resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

func TestPolicy(t *testing.T) {
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%s is not in the policy", want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("the policy lets in more than the page's own: %s", policy)
	}
}

// Ways to make markup of a text, and addresses of elsewhere.
var (
	markup    = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|<script>|\bstyle="|\son\w+="`)
	elsewhere = regexp.MustCompile(`https?://`)
	imported  = regexp.MustCompile(`from '([^']+)'`)
)

// TestSources checks what the sources promise: they make no markup of texts,
// have no script or style within the page, import and ask for nothing that is
// not here.
func TestSources(t *testing.T) {
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if _, known := contentTypes[path.Ext(name)]; !known {
			t.Errorf("%s is of no type that is served", name)
		}
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "")
		if at := markup.FindString(text); at != "" {
			t.Errorf("%s has %s", name, at)
		}
		if elsewhere.MatchString(text) {
			t.Errorf("%s names an address", name)
		}
		for _, m := range imported.FindAllStringSubmatch(text, -1) {
			to := m[1]
			if rest, ok := strings.CutPrefix(to, "./"); ok {
				to = Prefix + rest
			}
			if resp, _ := get(t, "GET", to); resp.StatusCode != 200 {
				t.Errorf("%s imports %s", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
