// Package console is the web console, served at /_console/: a page that reads
// millicent's own endpoints and shows them. It is plain HTML, CSS and ES
// modules from static/, as they are, and what `make build` has put into dist/;
// nothing is fetched from elsewhere.
//
// What protects it is in docs/security.md: the page may run no script and no
// style but its own files, be in no frame, and make no markup of text
// (Trusted Types), so that what functions write shows as text.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Prefix is what the console's paths begin with.
const Prefix = "/_console/"

//go:embed static all:dist
var files embed.FS

// policy is the page's Content-Security-Policy.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// contentTypes are those of the files by their extension; there are no others.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// asset is a file as it is served.
type asset struct {
	name, contentType, tag string
	content                []byte
}

// New returns the handler of all paths that begin with Prefix. It answers GET
// and HEAD, to anybody: there is no data in it.
func New() http.Handler {
	assets := map[string]asset{
		// What stands in for uPlot where it is not built in.
		"dist/uPlot.js":  newAsset("dist/uPlot.js", []byte("export default null;\n")),
		"dist/uPlot.css": newAsset("dist/uPlot.css", nil),
	}
	for _, dir := range []string{"static", "dist"} {
		names, err := fs.Glob(files, dir+"/*")
		if err != nil {
			panic(err) // a bad pattern
		}
		for _, name := range names {
			content, err := files.ReadFile(name)
			if _, known := contentTypes[path.Ext(name)]; err == nil && known {
				name = strings.TrimPrefix(name, "static/")
				assets[name] = newAsset(name, content)
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, assets) })
}

func newAsset(name string, content []byte) asset {
	sum := sha256.Sum256(content)
	return asset{name, contentTypes[path.Ext(name)], `"` + hex.EncodeToString(sum[:12]) + `"`, content}
}

func serve(w http.ResponseWriter, r *http.Request, assets map[string]asset) {
	for name, value := range map[string]string{
		"Content-Security-Policy":      policy,
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Origin-Agent-Cluster":         "?1",
		"Cache-Control":                "no-cache", // ask whether it has changed
	} {
		w.Header().Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The console is read by GET.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	if path.Ext(name) == "" { // a page: the script looks at the path
		name = "index.html"
	}
	a, ok := assets[name]
	if !ok {
		http.Error(w, "The console has no such file.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
}
