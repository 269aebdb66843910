package javascript

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/evanw/esbuild/pkg/api"
)

const (
	pluginName = "package"
	namespace  = "package" // of all files; the bundler reads none itself
)

// A resolver finds what modules import, as Node.js does, within a package. It
// is what keeps the bundler inside: all files are opened through root, which
// nothing leads out of.
type resolver struct {
	root *os.Root

	mu        sync.Mutex // guards what is below
	files     int        // that were read
	bytes     int64
	manifests map[string]*manifest // by directory; nil for none
}

// setup makes the resolver answer all that the bundler asks.
func (r *resolver) setup(build api.PluginBuild) {
	build.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		from := "."
		if a.Kind != api.ResolveEntryPoint {
			from = path.Dir(a.Importer)
		}
		name, err := r.resolve(from, a.Path, a.Kind)
		switch {
		case err == nil:
			return api.OnResolveResult{Path: name, Namespace: namespace}, nil
		case a.Kind == api.ResolveJSRequireCall || a.Kind == api.ResolveJSRequireResolve || a.Kind == api.ResolveJSDynamicImport:
			return api.OnResolveResult{Path: a.Path, External: true}, nil // fails if it comes to that
		}
		return api.OnResolveResult{Errors: []api.Message{{Text: err.Error()}}}, nil
	})
	build.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: namespace}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
		content, err := r.read(a.Path)
		if err != nil {
			return api.OnLoadResult{Errors: []api.Message{{Text: err.Error()}}}, nil
		}
		text := string(content)
		return api.OnLoadResult{Contents: &text, Loader: loaderOf(a.Path)}, nil
	})
}

func loaderOf(name string) api.Loader {
	switch path.Ext(name) {
	case ".ts", ".mts", ".cts":
		return api.LoaderTS
	case ".tsx":
		return api.LoaderTSX
	case ".jsx":
		return api.LoaderJSX
	case ".json":
		return api.LoaderJSON
	case ".txt", ".html", ".md", ".sql", ".css":
		return api.LoaderText
	}
	return api.LoaderJS
}

// entry returns the file of a handler's module.
func (r *resolver) entry(handler string) (string, error) {
	parts := handlerName.FindStringSubmatch(handler)
	if parts == nil || strings.Contains(handler, "..") {
		return "", &Error{Type: "Runtime.MalformedHandlerName", Message: fmt.Sprintf("'%.100s' is not a valid handler name: it is FILE.FUNCTION", handler)}
	}
	for _, extension := range entryExtensions {
		if r.isFile(parts[1] + extension) {
			return parts[1] + extension, nil
		}
	}
	return "", &Error{Type: "Runtime.ImportModuleError", Message: fmt.Sprintf("Error: Cannot find module '%.100s': the package has no file of that name that ends with %s",
		parts[1], strings.Join(entryExtensions, ", "))}
}

// read returns a file, within the bounds of all files together.
func (r *resolver) read(name string) ([]byte, error) {
	info, err := r.root.Stat(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	r.mu.Lock()
	r.files++
	r.bytes += info.Size()
	tooMuch := r.files > maxFiles || r.bytes > maxSource
	r.mu.Unlock()
	if tooMuch {
		return nil, fmt.Errorf("the function imports more than %d files or %d bytes", maxFiles, maxSource)
	}
	content, err := r.root.ReadFile(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return content[:min(int64(len(content)), info.Size())], nil
}

// unreadable says why a file cannot be read, without where it lies.
func unreadable(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("read %s: %w", name, err)
}

func (r *resolver) isFile(name string) bool {
	info, err := r.root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func (r *resolver) isDir(name string) bool {
	info, err := r.root.Stat(name)
	return err == nil && info.IsDir()
}

// resolve returns the file that a module in a directory means by a name.
func (r *resolver) resolve(from, name string, kind api.ResolveKind) (string, error) {
	missing := fmt.Errorf("Cannot find module '%.200s' imported from %s", name, path.Join(Root, from)) //nolint:staticcheck,revive // Node.js's words
	if strings.ContainsRune(name, 0) {
		return "", missing
	}
	if strings.HasPrefix(name, "node:") || slices.Contains(builtins, name) {
		return "", fmt.Errorf("Cannot find module '%.200s': the runtime javascript has no modules of Node.js", name) //nolint:staticcheck,revive // as above
	}
	var found string
	switch {
	case name == "." || name == ".." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../"):
		found = r.file(path.Join(from, name), strings.HasSuffix(name, "/"))
	case strings.HasPrefix(name, Root):
		found = r.file(path.Clean(strings.TrimPrefix(name, Root)), false)
	case strings.HasPrefix(name, "/"):
	case strings.HasPrefix(name, "#"):
		found = r.imported(from, name, kind)
	default:
		found = r.packaged(from, name, kind)
	}
	if found == "" {
		return "", missing
	}
	return found, nil
}

// extensions are tried where a name has none.
var extensions = append(slices.Clone(entryExtensions), ".json")

// written are the extensions of files that a name means by what would be made
// of them: TypeScript imports ./a.js where there is a.ts.
var written = map[string][]string{".js": {".ts", ".tsx", ".jsx"}, ".mjs": {".mts"}, ".cjs": {".cts"}}

// file returns the file that a path means: itself, with an extension, or what a
// directory has for it.
func (r *resolver) file(name string, onlyDir bool) string {
	if name == ".." || strings.HasPrefix(name, "../") {
		return ""
	}
	if !onlyDir {
		if r.isFile(name) {
			return name
		}
		for _, extension := range extensions {
			if r.isFile(name + extension) {
				return name + extension
			}
		}
		extension := path.Ext(name)
		for _, other := range written[extension] {
			if source := strings.TrimSuffix(name, extension) + other; r.isFile(source) {
				return source
			}
		}
	}
	if !r.isDir(name) {
		return ""
	}
	if m := r.manifest(name); m != nil {
		for _, main := range []string{m.Module, m.Main} {
			if main != "" && path.Clean(main) != "." {
				if found := r.file(path.Join(name, main), false); found != "" {
					return found
				}
			}
		}
	}
	for _, extension := range extensions {
		if index := path.Join(name, "index"+extension); r.isFile(index) {
			return index
		}
	}
	return ""
}

// packaged returns the file that NAME or NAME/PATH means: of the nearest
// node_modules that has the package.
func (r *resolver) packaged(from, name string, kind api.ResolveKind) string {
	parts := strings.SplitN(name, "/", 3)
	n := 1
	if strings.HasPrefix(name, "@") {
		n = 2
	}
	if len(parts) < n || slices.Contains(parts[:n], "") || slices.Contains(parts, "..") {
		return ""
	}
	pkg, rest := strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/")
	for at := from; ; at = path.Dir(at) {
		dir := path.Join(at, "node_modules", pkg)
		if r.isDir(dir) {
			m := r.manifest(dir)
			if m != nil && m.Exports != nil {
				key := "."
				if rest != "" {
					key = "./" + rest
				}
				return r.target(dir, mapped(m.Exports, key, conditions(kind)))
			}
			return r.file(path.Join(dir, rest), false)
		}
		if at == "." || at == "/" {
			return ""
		}
	}
}

// imported returns the file that #NAME means: what the nearest manifest says.
func (r *resolver) imported(from, name string, kind api.ResolveKind) string {
	for at := from; ; at = path.Dir(at) {
		if m := r.manifest(at); m != nil {
			target := mapped(m.Imports, name, conditions(kind))
			if target != "" && !strings.HasPrefix(target, "./") {
				return r.packaged(at, target, kind)
			}
			return r.target(at, target)
		}
		if at == "." || at == "/" {
			return ""
		}
	}
}

// target returns the file that a manifest names, which must be in its
// directory.
func (r *resolver) target(dir, name string) string {
	if !strings.HasPrefix(name, "./") || slices.Contains(strings.Split(name, "/"), "..") {
		return ""
	}
	return r.file(path.Join(dir, name), false)
}

// A manifest is what matters of a package.json.
type manifest struct {
	Main, Module     string
	Exports, Imports any
}

// manifest returns that of a directory; nil for none that can be read.
func (r *resolver) manifest(dir string) *manifest {
	r.mu.Lock()
	m, known := r.manifests[dir]
	r.mu.Unlock()
	if known {
		return m
	}
	if content, err := r.read(path.Join(dir, "package.json")); err == nil {
		var read struct {
			Main, Module     any
			Exports, Imports any
		}
		if json.Unmarshal(content, &read) == nil {
			m = &manifest{Exports: read.Exports, Imports: read.Imports}
			m.Main, _ = read.Main.(string)
			m.Module, _ = read.Module.(string)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.manifests == nil {
		r.manifests = map[string]*manifest{}
	}
	r.manifests[dir] = m
	return m
}
