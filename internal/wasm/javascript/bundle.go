package javascript

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/evanw/esbuild/pkg/api"
)

// Bounds of bundling.
const (
	maxSource = 32 << 20 // bytes of all files that are read
	maxFiles  = 5_000
	maxCode   = 16 << 20 // bytes of a bundle

	// MaxTime is how long bundling may take.
	MaxTime = 30 * time.Second
)

// Root is where a function's package is, as the function sees it.
const Root = "/var/task/"

// A Bundle is a function's code as one ES module. It is safe for concurrent use.
type Bundle struct {
	Name string // of the module, in stack traces
	Code []byte

	sources  []string // files that the code is made of
	mappings string   // from places in the code to places in the files, as in source maps
	located  sync.Once
	places   []segment
}

// An Error is a failure of the function's own code, as the function's callers
// are told of it.
type Error struct {
	Type    string
	Message string
	Place   string // FILE:LINE:COLUMN; empty where there is none
}

// Error implements error.
func (e *Error) Error() string {
	if e.Place == "" {
		return e.Type + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s (%s)", e.Type, e.Message, e.Place)
}

// handlerName matches a handler: the module's path, and what it exports.
var handlerName = regexp.MustCompile(`^((?:[^/]+/)*[^./]+)\.([^/]+)$`)

// entryExtensions are what a handler's module may end with; the first that is
// there counts.
var entryExtensions = []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx"}

// Make bundles the module that a handler names with all that it imports, out of
// a package in a directory. Types of TypeScript are taken away, and not
// checked. An *Error is the package's own.
func Make(ctx context.Context, dir, handler string) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open a package: %w", err)
	}
	defer root.Close()
	r := &resolver{root: root}
	entry, err := r.entry(handler)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	build, failed := api.Context(options(r, entry))
	if failed != nil {
		return nil, fmt.Errorf("bundle %s: %w", entry, failed)
	}
	defer build.Dispose()
	stop := context.AfterFunc(ctx, build.Cancel)
	defer stop()
	result := build.Rebuild()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("bundle %s: %w", entry, context.Cause(ctx))
	case len(result.Errors) > 0:
		return nil, refused(result.Errors[0])
	}
	return collect(Root+entry, result.OutputFiles)
}

// options are how a bundle is made.
func options(r *resolver, entry string) api.BuildOptions {
	text := func(s string) string { return `"` + s + `"` } // of constants
	return api.BuildOptions{
		EntryPoints: []string{"./" + entry},
		Outfile:     "/bundle.js",
		Bundle:      true,
		Format:      api.FormatESModule,
		Platform:    api.PlatformNeutral,
		Target:      api.ES2024,
		Charset:     api.CharsetUTF8,
		LogLevel:    api.LogLevelSilent,
		LogLimit:    1,
		TsconfigRaw: "{}", // no file of another place decides
		Sourcemap:   api.SourceMapExternal, SourcesContent: api.SourcesContentExclude,
		LegalComments: api.LegalCommentsNone,
		TreeShaking:   api.TreeShakingTrue,
		Define: map[string]string{
			"import.meta.url": text("file://" + Root + "index.mjs"), "import.meta.dirname": text(path.Clean(Root)),
			"import.meta.filename": text(Root + "index.mjs"), "__dirname": text(path.Clean(Root)), "__filename": text(Root + "index.js"),
		},
		Plugins: []api.Plugin{{Name: pluginName, Setup: r.setup}},
	}
}

// refused makes an Error of what the bundler says.
func refused(m api.Message) error {
	e := &Error{Type: "Runtime.UserCodeSyntaxError", Message: "SyntaxError: " + m.Text}
	if m.PluginName == pluginName {
		e.Type, e.Message = "Runtime.ImportModuleError", "Error: "+m.Text
	}
	if l := m.Location; l != nil {
		e.Place = fmt.Sprintf("%s%s:%d:%d", Root, strings.TrimPrefix(l.File, namespace+":"), l.Line, l.Column+1)
	}
	return e
}

// collect makes a Bundle of what the bundler made.
func collect(name string, files []api.OutputFile) (*Bundle, error) {
	b := &Bundle{Name: name}
	for _, f := range files {
		if !strings.HasSuffix(f.Path, ".map") {
			b.Code = f.Contents
			continue
		}
		var sources struct {
			Sources  []string
			Mappings string
		}
		if err := json.Unmarshal(f.Contents, &sources); err != nil {
			return nil, fmt.Errorf("read the bundler's source map: %w", err)
		}
		for _, s := range sources.Sources {
			b.sources = append(b.sources, strings.TrimPrefix(s, namespace+":"))
		}
		b.mappings = sources.Mappings
	}
	switch {
	case b.Code == nil:
		return nil, errors.New("the bundler made nothing")
	case len(b.Code) > maxCode:
		return nil, &Error{Type: "Runtime.ImportModuleError", Message: fmt.Sprintf("Error: the function has %d bytes of code, at most %d are allowed", len(b.Code), maxCode)}
	}
	return b, nil
}
