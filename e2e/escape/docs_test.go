package escape

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	root     = "../.."
	document = root + "/docs/security.md"
)

// named is a test in the document: `TestX`, or `some/package.TestX`.
var named = regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?(Test[A-Za-z0-9]+)`")

// TestDocument checks that every test that the document names exists, that it
// names every test of this package, and that no line of its tables goes
// without one.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	mentioned := map[string]bool{}
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		pkg, test := m[1], m[2]
		if pkg == "" {
			pkg = "e2e/escape"
			mentioned[test] = true
		}
		if !tests(t, pkg)[test] {
			t.Errorf("%s: there is no %s in %s", document, test, pkg)
		}
	}
	for test := range tests(t, "e2e/escape") {
		if !mentioned[test] && test != "TestMain" && test != "TestDocument" {
			t.Errorf("%s does not name %s", document, test)
		}
	}
	shows := false
	for line := range strings.Lines(string(text)) {
		switch {
		case !strings.HasPrefix(line, "|"):
			shows = false
		case strings.Contains(line, "shown by"):
			shows = true
		case shows && !strings.HasPrefix(line, "|---") && !named.MatchString(line):
			t.Errorf("no test shows: %s", line)
		}
	}
}

// declared is a test's declaration.
var declared = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)

// tests lists the tests of a package.
func tests(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = true
		}
	}
	return found
}
