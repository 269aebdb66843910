package millicent_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This file holds the rules of the house, as tests: who may import whom, that
// every package says what it is, how long files may be, and what may not be
// in the repository at all. A rule that stands in the way is changed here,
// with a reason in docs/rationale.md.

const module = "github.com/millicent-run/millicent"

// maxLines is the longest that a Go file may be, also a test or a generated one.
const maxLines = 500

// imports is the policy: which of our packages a package may import. "." is
// the root. A package that is not here may not exist.
var imports = map[string][]string{
	".":       {},
	"console": {},

	// Leaves, which know the vocabulary at most.
	"client":                        {"."},
	"internal/durable":              {},
	"internal/natsd":                {"internal/durable"},
	"internal/egress":               {"."},
	"internal/lifecycle":            {"."},
	"internal/nowait":               {},
	"internal/plain":                {},
	"internal/store":                {".", "internal/durable"},
	"internal/packs":                {},
	"internal/queue":                {".", "internal/durable", "internal/packs"},
	"internal/telemetry":            {"."},
	"internal/scheduler":            {"."},
	"internal/billing":              {"."},
	"internal/meter":                {".", "internal/packs", "internal/durable"},
	"internal/ledger":               {".", "internal/billing"},
	"internal/budget":               {".", "internal/store", "internal/billing"},
	"internal/sandbox":              {"internal/sandbox/initproc", "internal/sandbox/rootfs"},
	"internal/sandbox/init":         {"internal/sandbox/initproc"},
	"internal/sandbox/initproc":     {"internal/sandbox/rootfs"},
	"internal/sandbox/rootfs":       {},
	"internal/wasm/module":          {},
	"internal/wasm/wire":            {"internal/wasm"},
	"internal/wasm/worker":          {"internal/wasm", "internal/wasm/wire", "internal/sandbox", "internal/nowait"},
	"internal/wasm/sealed":          {},
	"internal/wasm/javascript":      {"internal/wasm/sealed"},
	"internal/wasm":                 {"internal/wasm/module", "internal/wasm/javascript", "internal/wasm/sealed"},
	"internal/wasm/launcher":        {".", "internal/lifecycle", "internal/egress", "internal/wasm", "internal/wasm/module"},
	"internal/process/bootstrap":    {},
	"internal/process/launchertest": {"."},
	"internal/api/lambda/gen":       {},

	// The path of an invocation.
	"internal/process":       {".", "internal/lifecycle", "internal/sandbox", "internal/egress", "internal/nowait", "internal/plain", "internal/process/bootstrap"},
	"internal/invoke":        {".", "internal/store", "internal/scheduler"},
	"internal/sqs":           {".", "internal/store", "internal/queue"},
	"internal/api/sqs":       {".", "internal/sqs"},
	"internal/async":         {".", "internal/queue", "internal/sqs"},
	"internal/eventsource":   {".", "internal/store", "internal/sqs"},
	"internal/schedule":      {".", "internal/store", "internal/queue", "internal/sqs"},
	"internal/api/scheduler": {".", "internal/schedule"},
	"internal/api/stream":    {},
	"internal/api/lambda":    {".", "internal/store", "internal/invoke", "internal/telemetry", "internal/api/stream"},
	"internal/api/url":       {".", "internal/store", "internal/invoke", "internal/telemetry", "internal/api/stream"},
	"internal/api/native":    {".", "internal/store", "internal/invoke", "internal/telemetry", "internal/meter", "internal/ledger", "internal/billing", "internal/budget"},
	"internal/api":           {".", "internal/api/lambda", "internal/api/scheduler", "internal/api/sqs", "internal/api/url", "internal/api/native", "console"},

	// The whole.
	"internal/server":   {"*"},
	"cmd/millicent":     {".", "client", "internal/server", "internal/meter", "internal/wasm", "internal/wasm/module"}, // what it does without a server
	"e2e":               {"e2e/millicenttest", "e2e/powerloss"},
	"e2e/powerloss":     {},
	"e2e/millicenttest": {},
	"e2e/escape":        {"e2e/millicenttest"},
	"e2e/console":       {"e2e/millicenttest"},
}

// testImports is what a package's tests may import besides.
var testImports = map[string][]string{
	"internal/process":       {"internal/process/launchertest"},
	"internal/plain":         {"internal/nowait"},
	"internal/wasm/launcher": {"internal/process/launchertest"},
	"internal/api/lambda":    {"internal/scheduler", "internal/natsd", "internal/eventsource", "internal/sqs", "e2e/millicenttest"},
	"internal/api/native":    {"internal/natsd"},
	"internal/store":         {"internal/natsd"},
	"internal/queue":         {"internal/natsd"},
	"internal/meter":         {"internal/natsd"},
	"internal/sqs":           {"internal/natsd"},
	"internal/eventsource":   {"internal/natsd", "internal/queue"},
	"internal/api/sqs":       {"internal/natsd", "internal/store", "internal/queue"},
	"internal/schedule":      {"internal/natsd"},
	"internal/api/scheduler": {"internal/natsd", "internal/store", "internal/queue", "internal/sqs"},
	"internal/invoke":        {"internal/natsd"},
	"internal/budget":        {"internal/natsd", "internal/invoke", "internal/scheduler"},
	"client":                 {"internal/server"},
}

// free are trees whose programs stand by themselves: they import nothing of
// ours, and are in no table.
var free = []string{"examples", "tools", "bench"}

// emptyNames are package names that say nothing of what a package provides.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "base", "misc", "shared"}

// foreignText may be in no file: names of the place where this was written,
// and what marks a body that is still to be written.
var foreignText = []string{"/wor" + "k/", "../shar" + "ed", `panic("not ` + `built")`}

// A tree is the files to check, by slash-separated path.
type tree map[string][]byte

func TestHouse(t *testing.T) {
	files, err := repository(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range check(files, imports, testImports) {
		t.Error(problem)
	}
}

// check returns what breaks a rule, sorted.
func check(files tree, policy, tests map[string][]string) []string {
	var problems []string
	commented := map[string]bool{} // by package directory
	for name, content := range files {
		problems = append(problems, checkText(name, content)...)
		if path.Ext(name) != ".go" {
			continue
		}
		problems = append(problems, checkLength(name, content)...)
		if inTestdata(name) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		dir, isTest := path.Dir(name), strings.HasSuffix(name, "_test.go")
		if !isTest {
			commented[dir] = commented[dir] || saysSomething(f.Name.Name, f.Doc.Text())
		}
		if slices.Contains(emptyNames, strings.TrimSuffix(f.Name.Name, "_test")) {
			problems = append(problems, fmt.Sprintf("%s: package %s: the name says nothing of what it provides", name, f.Name.Name))
		}
		for _, spec := range f.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: import %s: %v", name, spec.Path.Value, err))
				continue
			}
			problems = append(problems, checkImport(name, to, isTest, policy, tests)...)
		}
		if _, known := policy[dir]; !known && !isFree(dir) {
			problems = append(problems, fmt.Sprintf("%s: package %s is not in the import policy", name, dir))
		}
	}
	for dir, ok := range commented {
		if !ok {
			problems = append(problems, dir+": no package comment")
		}
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

// checkImport holds one import against the policy.
func checkImport(name, to string, isTest bool, policy, tests map[string][]string) []string {
	from := path.Dir(name)
	target, ours := strings.CutPrefix(to, module)
	switch {
	case !ours || target != "" && target[0] != '/':
		return nil
	case target == "":
		target = "."
	default:
		target = target[1:]
	}
	if target == from && isTest { // an external test of its own package
		return nil
	}
	allowed := policy[from]
	if isTest {
		allowed = append(slices.Clone(allowed), tests[from]...)
	}
	if slices.Contains(allowed, target) || slices.Contains(allowed, "*") {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s may not import %s", name, from, target)}
}

func checkLength(name string, content []byte) []string {
	if n := bytes.Count(content, []byte("\n")); n > maxLines {
		return []string{fmt.Sprintf("%s: %d lines, %d are allowed", name, n, maxLines)}
	}
	return nil
}

func checkText(name string, content []byte) []string {
	var problems []string
	for _, text := range foreignText {
		if i := bytes.Index(content, []byte(text)); i >= 0 {
			line := 1 + bytes.Count(content[:i], []byte("\n"))
			problems = append(problems, fmt.Sprintf("%s:%d: contains %s", name, line, text))
		}
	}
	return problems
}

// saysSomething tells a package comment from none. A program's begins as it
// likes.
func saysSomething(pkg, doc string) bool {
	return pkg == "main" && doc != "" || strings.HasPrefix(doc, "Package "+pkg+" ")
}

func inTestdata(name string) bool { return slices.Contains(strings.Split(name, "/"), "testdata") }

func isFree(dir string) bool {
	top, _, _ := strings.Cut(dir, "/")
	return slices.Contains(free, top)
}

// repository reads the files of the repository: what git knows, or where
// there is no git, what is there.
func repository(root string) (tree, error) {
	names, err := tracked(root)
	if err != nil {
		names, err = walked(root)
	}
	if err != nil {
		return nil, err
	}
	files := tree{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // deleted, and not yet so in git
		}
		if err != nil {
			return nil, err
		}
		files[filepath.ToSlash(name)] = content
	}
	return files, nil
}

func tracked(root string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	return names, nil
}

func walked(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "data", "node_modules"}, d.Name()):
			return filepath.SkipDir
		case d.Type().IsRegular():
			rel, err := filepath.Rel(root, name)
			names = append(names, rel)
			return err
		}
		return nil
	})
	return names, err
}

// TestRepositoryReaders holds the two ways of finding files against each
// other: all that git knows is there to be walked.
func TestRepositoryReaders(t *testing.T) {
	known, err := tracked(".")
	if err != nil {
		t.Skip("no git here: ", err)
	}
	found, err := walked(".")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(known, "house_test.go") && !slices.Contains(found, "house_test.go") {
		t.Error("neither reader finds this file")
	}
	if len(found) < len(known)/2 {
		t.Errorf("walked %d files, git knows %d", len(found), len(known))
	}
}

// TestCheck breaks each rule in a small tree, and then none.
func TestCheck(t *testing.T) {
	policy := map[string][]string{".": {}, "a": {"."}, "b": {"a"}, "all": {"*"}}
	tests := map[string][]string{"b": {"all"}}
	source := func(pkg string, imports ...string) []byte {
		text := "// Package " + pkg + " is one.\npackage " + pkg + "\n"
		for _, to := range imports {
			text += "import _ \"" + to + "\"\n"
		}
		return []byte(text)
	}
	for name, c := range map[string]struct {
		files tree
		want  string // part of the only problem; "" for none
	}{
		"allowed":             {tree{"b/b.go": source("b", "fmt", "example.com/x", module+"/a")}, ""},
		"root":                {tree{"a/a.go": source("a", module)}, ""},
		"root imports":        {tree{"m.go": source("millicent", module+"/a")}, "m.go: . may not import a"},
		"not allowed":         {tree{"a/a.go": source("a", module+"/b")}, "a/a.go: a may not import b"},
		"not in reverse":      {tree{"b/b.go": source("b", module)}, "b may not import ."},
		"everything":          {tree{"all/x.go": source("all", module+"/a", module+"/b")}, ""},
		"another module":      {tree{"a/a.go": source("a", module+"-tools/b")}, ""},
		"unknown package":     {tree{"c/c.go": source("c")}, "package c is not in the import policy"},
		"unknown target":      {tree{"b/b.go": source("b", module+"/c")}, "b may not import c"},
		"test may more":       {tree{"b/b.go": source("b"), "b/b_test.go": source("b", module+"/all")}, ""},
		"code may not":        {tree{"b/b.go": source("b", module+"/all")}, "b may not import all"},
		"test may not all":    {tree{"a/a.go": source("a"), "a/a_test.go": source("a", module+"/all")}, "a may not import all"},
		"external test":       {tree{"a/a.go": source("a"), "a/a_test.go": source("a_test", module+"/a")}, ""},
		"example":             {tree{"examples/x/main.go": source("main")}, ""},
		"example imports":     {tree{"examples/x/main.go": source("main", module)}, "may not import ."},
		"no comment":          {tree{"a/a.go": []byte("package a\n")}, "a: no package comment"},
		"a directive":         {tree{"a/a.go": []byte("//go:build linux\n\npackage a\n")}, "a: no package comment"},
		"comment elsewhere":   {tree{"a/a.go": []byte("package a\n"), "a/doc.go": source("a")}, ""},
		"a program":           {tree{"a/a.go": []byte("// The program a runs.\npackage main\n")}, ""},
		"a program, no word":  {tree{"a/a.go": []byte("package main\n")}, "a: no package comment"},
		"another's comment":   {tree{"a/a.go": []byte("// Package b is another.\npackage a\n")}, "a: no package comment"},
		"only in the test":    {tree{"a/a.go": []byte("package a\n"), "a/a_test.go": source("a")}, "a: no package comment"},
		"tests alone":         {tree{"a/a_test.go": []byte("package a\n")}, ""},
		"empty name":          {tree{"a/a.go": source("helpers")}, "package helpers: the name says nothing"},
		"as long as allowed":  {tree{"a/a.go": append(source("a"), bytes.Repeat([]byte("\n"), maxLines-2)...)}, ""},
		"too long":            {tree{"a/a.go": append(source("a"), bytes.Repeat([]byte("\n"), maxLines-1)...)}, "501 lines"},
		"too long a test":     {tree{"a/a.go": source("a"), "a/a_test.go": append(source("a"), bytes.Repeat([]byte("\n"), maxLines)...)}, "502 lines"},
		"long text":           {tree{"README.md": bytes.Repeat([]byte("\n"), 2*maxLines)}, ""},
		"testdata imports":    {tree{"a/testdata/x/main.go": source("main", module+"/b")}, ""},
		"testdata too long":   {tree{"a/testdata/x.go": bytes.Repeat([]byte("\n"), maxLines+1)}, "501 lines"},
		"a path of the place": {tree{"docs/x.md": []byte("one\nsee " + foreignText[0] + "main\n")}, "docs/x.md:2: contains"},
		"a body to be":        {tree{"a/a.go": append(source("a"), "func F() { "+foreignText[2]+" }\n"...)}, "a/a.go:3: contains"},
		"no Go":               {tree{"a/a.go": []byte("pack age a")}, "expected 'package'"},
	} {
		got := check(c.files, policy, tests)
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: got %q, want none", name, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestPolicy checks that the policy itself has no cycle and names no package
// that it does not know.
func TestPolicy(t *testing.T) {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(string)
	visit = func(pkg string) {
		if _, known := imports[pkg]; !known {
			t.Errorf("%s is allowed somewhere and not in the policy", pkg)
		}
		state[pkg] = visiting
		for _, to := range imports[pkg] {
			switch {
			case to == "*":
			case state[to] == visiting:
				t.Errorf("%s and %s import each other", pkg, to)
			case state[to] != done:
				visit(to)
			}
		}
		state[pkg] = done
	}
	for pkg := range imports {
		if state[pkg] == 0 {
			visit(pkg)
		}
	}
}
