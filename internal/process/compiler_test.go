package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/process/launchertest"
)

// compiledFiles is a CompiledStore that checks nothing.
type compiledFiles struct {
	dir   string
	began func()      // is told when the program has been started; nil: nobody is
	puts  chan string // what came of each compilation: its file, or what went wrong

	mu    sync.Mutex
	files map[string]string
	drops int
}

func newCompiledFiles(t *testing.T) *compiledFiles {
	return &compiledFiles{dir: t.TempDir(), puts: make(chan string, 16), files: map[string]string{}}
}

func (f *compiledFiles) Compiled(_ millicent.Package, slot, identity string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files[slot+" "+identity]
}

// made returns the file of the next compilation, which has to succeed.
func (f *compiledFiles) made(t *testing.T) string {
	t.Helper()
	file := <-f.puts
	if !filepath.IsAbs(file) {
		t.Fatal("compile:", file)
	}
	return file
}

func (f *compiledFiles) PutCompiled(_ millicent.Package, slot, identity string, content io.Reader) error {
	if f.began != nil {
		f.began()
	}
	data, err := io.ReadAll(io.LimitReader(content, 64<<20))
	if err == nil && len(data) == 64<<20 {
		err = errors.New("too much")
	}
	if err != nil {
		f.puts <- err.Error()
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	file := filepath.Join(f.dir, slot, identity+".x")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o644)); err != nil {
		return err
	}
	f.files[slot+" "+identity] = file
	f.puts <- file
	return nil
}

func (f *compiledFiles) DropCompiled(_ millicent.Package, slot string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drops++
	clear(f.files)
	return nil
}

// compiling returns a launcher that compiles the package of these files, and a
// version of it.
func compiling(t *testing.T, runtime string, files map[string]string, change func(*Config)) (*Launcher, *millicent.Version, *compiledFiles) {
	t.Helper()
	machine.need(t)
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	kept := newCompiledFiles(t)
	l := machine.launcher(t, dir, &launchertest.Log{}, func(c *Config) {
		c.Compiled = kept
		if change != nil {
			change(c)
		}
	})
	v := probeVersion()
	v.Runtime, v.Handler, v.Package.SHA256 = runtime, "app.handler", strings.Repeat("a", 64)
	needRuntime(t, l, runtime)
	return l, v, kept
}

// source returns the code of a package that is large enough to be compiled.
func source(text, comment string) string {
	return text + strings.Repeat(comment+" to fill it up\n", leastNode/16)
}

var compiledPackages = map[string]map[string]string{
	"python3.12": {
		"app.py": source(`
import inspect, sys, traceback
import space.inner
from pkg import name, dynamic

def handler(event, context):
    if event["do"] == "raise":
        return inner()
    if event["do"] == "syntax":
        import bad
    if event["do"] == "deep":
        import pkg.broken
    if event["do"] == "exit":
        sys.exit(4)
    try:
        import bad
    except SyntaxError as error:
        syntax = [str(error), traceback.format_exc()]
    return [
        name, __file__, __cached__, __name__, __spec__.origin, space.inner.where, list(space.__path__)[0], syntax,
        inspect.getsource(inner), inner.__code__.co_filename, sys.modules["pkg"].__path__, dynamic(),
        type(space.inner.__loader__).__mro__[-3].__name__, sorted(m for m in sys.modules if m.startswith("pkg")),
    ]

def inner():
    raise ValueError("here")
`, "#"),
		"pkg/__init__.py": "name = 'pkg'\nimport importlib\ndef dynamic():\n    return importlib.import_module('pkg.late').late\n",
		"pkg/late.py":     "late = __name__ + __file__\n",
		"pkg/broken.py":   "def broken(:\n",
		"space/inner.py":  "where = __file__\n", // a namespace package
		"bad.py":          "x = (\n",
		"ran.py":          "import os\nos.write(1, b'it ran')\n", // among what is compiled
		// What the compiler itself imports is not the package's.
		"marshal.py": "raise SystemExit(9)\n", "warnings.py": "raise SystemExit(9)\n", "sitecustomize.py": "raise SystemExit(9)\n",
		"importlib/__init__.py": "raise SystemExit(9)\n",
	},
	"nodejs20.x": {
		"app.js": "exports.early = new Error('on the first line').stack.split('\\n').slice(0, 2);" + source(`
const path = require('path');
const part = require('./part');
const other = require('other');
exports.handler = async (event) => {
  if (event.do === 'raise') return part.fail();
  if (event.do === 'syntax') return require('./bad');
  if (event.do === 'exit') process.exit(4);
  let syntax;
  try { require('./bad'); } catch (error) { syntax = [error.name, error.message]; }
  const m = await import('./mod.mjs');
  const named = await import('other');
  return [
    exports.early, part.name, part.stack(), other, named.default.other, m.default, syntax, __filename, __dirname, module.id,
    module.children.map((c) => c.id), require.main === undefined, require.resolve('./part'), path.basename(require.resolve.paths('x')[0]),
    Object.keys(require.cache).filter((k) => k.startsWith('/var/task')), module.loaded, this === undefined, typeof require.extensions,
    part.handlerText, new Error('in a handler').stack.split('\n')[1],
  ];
};
exports.handlerText = exports.handler.toString().length;
`, "//"),
		"part.js": source(`'use strict';
exports.name = module.parent.filename;
exports.fail = () => { throw new TypeError('in a part'); };
exports.stack = () => new Error('in a part').stack.split('\n').slice(0, 2);
exports.strict = (function () { return this === undefined; })();
`, "//"),
		"bad.js":                          source("exports.x = (;\n", "//"),
		"outside.js":                      source("}); (function () {\n", "//"),                    // compiles only in a wrapper
		"ran.js":                          source("require('fs').writeSync(1, 'it ran');\n", "//"), // among what is compiled
		"mod.mjs":                         "export default import.meta.url;\n",
		"node_modules/other/package.json": `{"name": "other", "main": "lib/index.js"}`,
		"node_modules/other/lib/index.js": source("exports.other = __filename;\n", "//"),
		"node_modules/esm/package.json":   `{"name": "esm", "type": "module"}`,
		"node_modules/esm/index.js":       source("export default 1;\n", "//"),
	},
}

// loaderFrame is a line of a stack trace that tells who loads modules.
var loaderFrame = regexp.MustCompile(`"    at [^"]*\((?:node:internal|/var/runtime)/[^"]*",`)

func withoutLoader(payload []byte) string { return loaderFrame.ReplaceAllString(string(payload), "") }

// TestCompiledIsNoOtherWorld: what was compiled ahead gives the results and
// errors that the source gives.
func TestCompiledIsNoOtherWorld(t *testing.T) {
	for runtime, files := range compiledPackages {
		for name, change := range map[string]func(*Config){"started": nil, "stem": pooling} {
			t.Run(runtime+" "+name, func(t *testing.T) {
				t.Parallel()
				l, v, kept := compiling(t, runtime, files, change)
				launch := func() *envTest {
					if change != nil {
						return fromStem(t, l, v)
					}
					return startEnv(t, l, v)
				}
				plain := launch() // which also asks for the compilation
				kept.made(t)
				compiled := launch()
				if plain.started.Compiled || !compiled.started.Compiled {
					t.Fatalf("compiled: %t, then %t", plain.started.Compiled, compiled.started.Compiled)
				}
				for _, do := range []string{"look", "raise", "syntax", "deep", "look", "exit", "look"} {
					want, got := plain.invoke(fmt.Sprintf("{%q:%q}", "do", do)), compiled.invoke(fmt.Sprintf("{%q:%q}", "do", do))
					if diff := cmp.Diff(withoutLoader(want.Payload), withoutLoader(got.Payload)); diff != "" || want.FunctionError != got.FunctionError {
						t.Errorf("%s: (- source, + compiled):\n%s", do, diff)
					}
				}
				if kept.drops > 0 {
					t.Error("the compiled code was refused")
				}
			})
		}
	}
}

// TestCompiledIsUsed: what runs is what was compiled. The source is another by
// then, which that of a package never is.
func TestCompiledIsUsed(t *testing.T) {
	for runtime, file := range map[string]struct{ name, text, comment string }{
		"python3.12": {"app.py", "def handler(e, c): return 'old'\n", "#"},
		"nodejs20.x": {"app.js", "exports.handler = async () => 'old';\n", "//"},
	} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			l, v, kept := compiling(t, runtime, map[string]string{file.name: source(file.text, file.comment)}, nil)
			l.CompileAhead(v)
			kept.made(t)
			changed := source(strings.Replace(file.text, "old", "new", 1), file.comment)
			dir, err := l.cfg.Code(t.Context(), v)
			if err = errors.Join(err, os.WriteFile(filepath.Join(dir, file.name), []byte(changed), 0o644)); err != nil {
				t.Fatal(err)
			}
			startEnv(t, l, v).answers("{}", `"old"`)

			// What an interpreter reads when it starts may be about the code.
			v.Environment = map[string]string{"PYTHONOPTIMIZE": "2", "NODE_OPTIONS": "--enable-source-maps"}
			startEnv(t, l, v).answers("{}", `"new"`)
		})
	}
}

// TestCompiledOfNoUse: what is damaged, cut off or another's is ignored, and
// made anew once.
func TestCompiledOfNoUse(t *testing.T) {
	files := map[string]struct{ name, text, comment string }{
		"python3.12": {"app.py", "def handler(e, c): return 'right'\n", "#"},
		"nodejs20.x": {"app.js", "exports.handler = async () => 'right';\n", "//"},
	}
	for runtime, file := range files {
		for name, damage := range map[string]func(data []byte) []byte{
			"empty":   func([]byte) []byte { return nil },
			"cut off": func(data []byte) []byte { return data[:len(data)/2] },
			"noise":   func(data []byte) []byte { return bytes.Repeat([]byte("noise"), len(data)/5) },
			// The version: of the interpreter in front, of V8 behind the index.
			"another version": func(data []byte) []byte {
				at := 0
				if file.comment == "//" {
					at = 4 + int(binary.LittleEndian.Uint32(data)) + 4
				}
				data[at] ^= 0x55
				return data
			},
		} {
			t.Run(runtime+" "+name, func(t *testing.T) {
				t.Parallel()
				l, v, kept := compiling(t, runtime, map[string]string{file.name: source(file.text, file.comment)}, nil)
				l.CompileAhead(v)
				made := kept.made(t)
				data, err := os.ReadFile(made)
				if err = errors.Join(err, os.WriteFile(made, damage(bytes.Clone(data)), 0o644)); err != nil {
					t.Fatal(err)
				}
				startEnv(t, l, v).answers("{}", `"right"`)
				kept.made(t)
				e := startEnv(t, l, v)
				e.answers("{}", `"right"`)
				if !e.started.Compiled {
					t.Error("it was not made anew")
				}
				// Not for ever: a function could say so time and again.
				if err := os.WriteFile(made, nil, 0o644); err != nil {
					t.Fatal(err)
				}
				startEnv(t, l, v).answers("{}", `"right"`)
				if kept.mu.Lock(); kept.drops != 1 {
					t.Errorf("dropped %d times", kept.drops)
				}
				kept.mu.Unlock()
			})
		}
	}
}

// TestNothingToCompile: what is small is left alone, and where an interpreter
// fails it is not asked time and again.
func TestNothingToCompile(t *testing.T) {
	large := map[string]string{"app.py": source("def handler(e, c): return 1\n", "#")}
	for name, tt := range map[string]struct {
		files       map[string]string
		interpreter string
		want        error
		tried       int
	}{
		"small":            {map[string]string{"app.py": "def handler(e, c): return 1\n"}, "", errNothing, 0},
		"does not compile": {map[string]string{"app.py": source("def handler(e, c):: return 1\n", "#")}, "", errNothing, 1},
		"fails":            {large, "/usr/bin/false", errCompilation, 1},
		"says nothing":     {large, "/usr/bin/true", errNothing, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, v, kept := compiling(t, "python3.12", tt.files, nil)
			rt, _ := l.cfg.Runtimes.Lookup(v.Runtime)
			if tt.interpreter != "" {
				rt.Interpreter = tt.interpreter
			}
			job := compilation{v, rt, slotOf(v, rt)}
			err := l.compiler.make(job)
			if !errors.Is(err, tt.want) || len(kept.puts) != tt.tried || len(kept.files) != 0 {
				t.Errorf("got %v and %d tries, want %v and %d", err, len(kept.puts), tt.want, tt.tried)
			}
			l.compiler.settle(job, err)
			if !time.Now().Before(l.compiler.notBefore[job.slot]) {
				t.Error("it is tried again at once")
			}
		})
	}
}

// TestSlots: a tenant's and an interpreter's compiled code is nobody else's.
func TestSlots(t *testing.T) {
	v, rt := probeVersion(), Runtime{Name: "python3.12", Interpreter: "/usr/bin/python3.12", Version: "3.12.1"}
	other := v.Clone()
	other.Tenant = "111111111111"
	if slotOf(v, rt) == slotOf(other, rt) {
		t.Error("two tenants share a slot")
	}
	another := rt
	another.Interpreter = "/usr/local/bin/python3.12"
	if slotOf(v, rt) == slotOf(v, another) {
		t.Error("two interpreters share a slot")
	}
	upgraded := rt
	upgraded.Version = "3.12.2"
	identity := func(rt Runtime) string { return (&compiler{identities: map[string]string{}}).identity(rt) }
	if slotOf(v, rt) != slotOf(v, upgraded) || identity(rt) == identity(upgraded) {
		t.Error("an upgraded interpreter does not take the place of the older one")
	}
}
