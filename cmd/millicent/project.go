package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// A project is what a folder turned out to hold.
type project struct {
	dir     string
	entry   string // the file that tells, like app.py
	family  string // python, nodejs, javascript, provided or wasm
	handler string
	build   bool // a Go main package, to be built to bootstrap
	bare    bool // dir is a WebAssembly module, and all of the package
}

// entries are the files that make a folder a function, in the order in which
// they are looked for.
var entries = []struct{ file, family string }{
	{"index.mjs", "nodejs"}, {"index.js", "nodejs"}, {"index.cjs", "nodejs"},
	{"app.py", "python"}, {"lambda_function.py", "python"}, {"main.py", "python"}, {"handler.py", "python"},
	{"bootstrap", "provided"},
	{"main.go", "go"},
	{"bootstrap.wasm", "wasm"}, {"main.wasm", "wasm"},
	{"index.ts", "javascript"},
}

// maxSource bounds how much of a source file is searched for its handler.
const maxSource = 1 << 20

// findProject looks for a function in dir. runtime and handler are what the
// user said, and win over what the files say.
func findProject(dir, runtime, handler string) (*project, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() && isModuleFile(dir) && (runtime == "" || familyOf(runtime) == "wasm" || familyOf(runtime) == "provided") {
		return &project{dir: dir, entry: filepath.Base(dir), family: cmp.Or(familyOf(runtime), "wasm"), handler: cmp.Or(handler, "bootstrap"), bare: true}, nil
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: deploy takes the folder that holds the function, or a WebAssembly module", dir)
	}
	p, err := findEntry(dir, familyOf(runtime), handler)
	if err != nil {
		return nil, err
	}
	switch {
	case handler != "":
		p.handler = handler
	case p.family == "python":
		p.handler, err = pythonHandler(dir, p.entry)
	case p.family == "wasm":
		p.handler = p.entry
	case p.family == "nodejs", p.family == "javascript":
		p.handler = strings.TrimSuffix(p.entry, filepath.Ext(p.entry)) + ".handler"
	default:
		p.handler = "bootstrap"
	}
	return p, err
}

// findEntry returns the project of the first entry that dir holds. Entries of
// two languages are an error, as only the user can tell which is meant.
func findEntry(dir, family, handler string) (*project, error) {
	var found *project
	for _, e := range entries {
		p := &project{dir: dir, entry: e.file, family: e.family}
		switch {
		case p.family == "go":
			p.family, p.build = "provided", true
		case family == "javascript" && p.family == "nodejs":
			p.family = family // the same files, for another engine
		}
		if family != "" && p.family != family || family == "" && p.family == "javascript" {
			continue // index.ts is for that engine alone
		}
		if info, err := os.Stat(filepath.Join(dir, e.file)); err != nil || !info.Mode().IsRegular() {
			continue
		}
		switch {
		case found == nil:
			found = p
		case found.family != p.family:
			return nil, fmt.Errorf("%s holds both %s and %s: say with --runtime which is the function", dir, found.entry, p.entry)
		case found.family == "python" && handler == "" && !hasPythonHandler(dir, found.entry):
			found = p // the next name may have it
		}
	}
	if found == nil && (family == "" || family == "wasm") {
		found = findModule(dir)
	}
	if found != nil {
		return found, nil
	}
	if family == "" {
		family = handlerFamily(dir, handler)
	}
	if family != "" && handler != "" { // the user knows better than we do
		return &project{dir: dir, family: family}, nil
	}
	return nil, fmt.Errorf("no function found in %s: looked for %s%s", dir, entryNames(family), entryHint(dir, family))
}

// findModule returns the project of a folder with one WebAssembly module; nil
// when there is none, or are several.
func findModule(dir string) *project {
	files, _ := fs.Glob(os.DirFS(dir), "*.wasm") // the pattern is good, and the folder could be read
	if len(files) != 1 || !isModuleFile(filepath.Join(dir, files[0])) {
		return nil
	}
	return &project{dir: dir, entry: files[0], family: "wasm"}
}

// isModuleFile reports whether a file is a WebAssembly module.
func isModuleFile(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 8)
	_, err = io.ReadFull(f, head)
	return err == nil && module.IsModule(head)
}

// entryNames lists the entries of a family, or of all.
func entryNames(family string) string {
	var names []string
	for _, e := range entries {
		if family == "" || e.family == family || family == "provided" && e.family == "go" {
			names = append(names, e.file)
		}
	}
	return strings.Join(names, ", ")
}

// sources are the languages of source files, by the end of their names.
var sources = []struct{ ext, family, handler string }{
	{".py", "python", "FUNCTION"}, {".mjs", "nodejs", "handler"}, {".js", "nodejs", "handler"}, {".cjs", "nodejs", "handler"},
}

// handlerFamily returns the language of the file that a handler names, like
// service.py of service.entry; "" when there is none.
func handlerFamily(dir, handler string) string {
	module, _, ok := strings.Cut(path.Base(handler), ".")
	if !ok {
		return ""
	}
	for _, s := range sources {
		file := filepath.Join(dir, filepath.FromSlash(path.Dir(handler)), module+s.ext)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return s.family
		}
	}
	return ""
}

// entryHint says what is likely wrong with a folder without an entry.
func entryHint(dir, family string) string {
	for _, s := range sources {
		if family != "" && s.family != family {
			continue
		}
		// The pattern is good, and a folder that cannot be read was told of before.
		if files, _ := fs.Glob(os.DirFS(dir), "*"+s.ext); len(files) > 0 {
			return fmt.Sprintf("\nif it is in %s, say so with --handler %s.%s", files[0], strings.TrimSuffix(files[0], s.ext), s.handler)
		}
	}
	for file, hint := range map[string]string{
		"index.ts":   "\nindex.ts has to be compiled to JavaScript first, or deployed with --runtime javascript",
		"Cargo.toml": "\na Rust function has to be built to a file named bootstrap first",
	} {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return hint
		}
	}
	return ""
}

// familyOf returns the family of a runtime's name: python of python3.13.
func familyOf(runtime string) string {
	for _, f := range []string{"python", "nodejs", "provided", "wasm", "javascript"} {
		if strings.HasPrefix(runtime, f) {
			return f
		}
	}
	return ""
}

// A handler of Python at the top level of its module: a function, or a name
// that is bound to one.
var pythonHandlers = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(?:async +)?def +(lambda_handler)\b`),
	regexp.MustCompile(`(?m)^(?:async +)?def +(handler)\b`),
	regexp.MustCompile(`(?m)^(lambda_handler|handler) *=`),
	regexp.MustCompile(`(?m)^from +\S+ +import +.*\b(lambda_handler|handler)\b`),
}

// pythonHandler returns the handler of a module, like app.handler.
func pythonHandler(dir, entry string) (string, error) {
	src, err := readSource(filepath.Join(dir, entry))
	if err != nil {
		return "", err
	}
	module := strings.TrimSuffix(entry, ".py")
	for _, re := range pythonHandlers {
		if m := re.FindSubmatch(src); m != nil {
			return module + "." + string(m[1]), nil
		}
	}
	return "", fmt.Errorf("%s defines no handler or lambda_handler: name its function with --handler %s.FUNCTION", entry, module)
}

func hasPythonHandler(dir, entry string) bool {
	_, err := pythonHandler(dir, entry)
	return err == nil
}

func readSource(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSource))
}

var nameGaps = regexp.MustCompile(`[^a-zA-Z0-9_-]+`)

// functionName makes a function's name of a folder's.
func functionName(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	name := strings.Trim(nameGaps.ReplaceAllString(strings.TrimSuffix(filepath.Base(abs), ".wasm"), "-"), "-")
	if name == "" {
		return "", fmt.Errorf("no function's name can be made of %s: give one with --name", abs)
	}
	return name[:min(len(name), 64)], nil
}
