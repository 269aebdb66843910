package process

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Runtime is a language runtime that the platform knows.
type Runtime struct {
	Name        string `json:"name"`        // python3.13
	Interpreter string `json:"interpreter"` // path of the interpreter that serves it; empty when none does or none is needed
	Version     string `json:"version"`     // the interpreter's own version
	Exact       bool   `json:"exact"`       // the interpreter has the requested version
	Note        string `json:"note,omitempty"`
}

// Runtimes is what was found on this machine. It does not change.
type Runtimes struct {
	list []Runtime
}

// Families of runtimes.
const (
	familyPython   = "python"
	familyNode     = "nodejs"
	familyProvided = "provided"
)

// knownRuntimes are the names that the platform serves where it can.
func knownRuntimes() []string {
	var names []string
	for minor := 8; minor <= 15; minor++ {
		names = append(names, fmt.Sprintf("python3.%d", minor))
	}
	for major := 16; major <= 26; major += 2 {
		names = append(names, fmt.Sprintf("nodejs%d.x", major))
	}
	return append(names, "provided.al2", "provided.al2023")
}

// splitRuntime parts a name: python and 3.13, nodejs and 22, provided and al2023.
func splitRuntime(name string) (family, number string) {
	for _, family := range []string{familyPython, familyNode, familyProvided} {
		if number, ok := strings.CutPrefix(name, family); ok {
			return family, strings.TrimPrefix(strings.TrimSuffix(number, ".x"), ".")
		}
	}
	return name, ""
}

// runtimeVersion names the interpreter that runs a runtime, in the form of
// Lambda's runtime versions: python:3.11.2.
func runtimeVersion(rt Runtime) string {
	family, number := splitRuntime(rt.Name)
	return family + ":" + cmp.Or(rt.Version, number)
}

// interpreterDirs are where interpreters are looked for, the machine's own
// before the distribution's: a sandbox sees the machine's /usr and no more.
var interpreterDirs = []string{"/usr/local/bin", "/usr/bin"}

const versionTimeout = 5 * time.Second

// FindRuntimes looks for interpreters on this machine: those that a sandbox
// can see, whose files lie below /usr. It asks each for its version, within a
// few seconds; one that does not say it is left out.
func FindRuntimes(ctx context.Context) (*Runtimes, error) {
	var found []interpreter
	seen := map[string]bool{}
	for _, dir := range interpreterDirs {
		entries, err := os.ReadDir(dir)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for interpreters: %w", err)
		}
		for _, entry := range entries {
			family := interpreterFamily(entry.Name())
			if family == "" {
				continue
			}
			path, err := filepath.EvalSymlinks(filepath.Join(dir, entry.Name()))
			if err != nil || !strings.HasPrefix(path, "/usr/") || seen[path] {
				continue // a dangling link, or what no sandbox can see
			}
			seen[path] = true
			if in, ok := askVersion(ctx, family, path); ok {
				found = append(found, in)
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &Runtimes{}
	for _, name := range knownRuntimes() {
		r.list = append(r.list, choose(name, found))
	}
	return r, nil
}

// List returns every runtime that the platform knows, served or not.
func (r *Runtimes) List() []Runtime { return slices.Clone(r.list) }

// Lookup returns the runtime of a name; ok is false when the platform does
// not know it or no interpreter serves it. rt then says in its Note why, when
// the platform knows it.
func (r *Runtimes) Lookup(name string) (rt Runtime, ok bool) {
	i := slices.IndexFunc(r.list, func(rt Runtime) bool { return rt.Name == name })
	if i < 0 {
		return Runtime{Name: name}, false
	}
	rt = r.list[i]
	family, _ := splitRuntime(name)
	return rt, rt.Interpreter != "" || family == familyProvided
}

// An interpreter is a program that was found.
type interpreter struct {
	family  string
	path    string
	version [3]int
}

func (in interpreter) String() string {
	return fmt.Sprintf("%d.%d.%d", in.version[0], in.version[1], in.version[2])
}

// name is what people call an interpreter: Python 3.11.2.
func (in interpreter) name() string {
	if in.family == familyPython {
		return "Python " + in.String()
	}
	return "Node.js " + in.String()
}

var (
	pythonName    = regexp.MustCompile(`^python3(\.\d{1,2})?$`)
	nodeName      = regexp.MustCompile(`^node(js)?(-?\d{1,3})?$`)
	versionAnswer = regexp.MustCompile(`^(?:Python |v)(\d{1,4})\.(\d{1,4})\.(\d{1,4})`)
)

func interpreterFamily(file string) string {
	switch {
	case pythonName.MatchString(file):
		return familyPython
	case nodeName.MatchString(file):
		return familyNode
	default:
		return ""
	}
}

func askVersion(ctx context.Context, family, path string) (interpreter, bool) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return interpreter{}, false
	}
	version, ok := parseVersion(string(out))
	return interpreter{family, path, version}, ok
}

// parseVersion reads what an interpreter says of itself: "Python 3.11.2" or
// "v20.20.0".
func parseVersion(s string) (version [3]int, ok bool) {
	m := versionAnswer.FindStringSubmatch(s)
	if m == nil {
		return version, false
	}
	for i := range version {
		version[i], _ = strconv.Atoi(m[i+1]) // the pattern lets only small numbers pass
	}
	return version, true
}

// choose picks the interpreter for a runtime: the newest of the very version,
// else the nearest, newer rather than older. Python is near within Python 3,
// Node.js within Node.js: its even majors follow one another as Python's
// minors do, and the Note says what the function gets.
func choose(name string, found []interpreter) Runtime {
	family, number := splitRuntime(name)
	rt := Runtime{Name: name}
	if family == familyProvided {
		rt.Exact = true
		return rt
	}
	// rank is the part of a version that a runtime's name tells apart.
	rank := func(version [3]int) int { return version[0] }
	if family == familyPython {
		rank = func(version [3]int) int { return version[1] }
		number = strings.TrimPrefix(number, "3.")
	}
	want, err := strconv.Atoi(number)
	if err != nil {
		return rt
	}
	var candidates []interpreter
	for _, in := range found {
		if in.family == family && (family != familyPython || in.version[0] == 3) {
			candidates = append(candidates, in)
		}
	}
	if len(candidates) == 0 {
		rt.Note = fmt.Sprintf("No interpreter for it was found in %s.", strings.Join(interpreterDirs, " or "))
		return rt
	}
	best := slices.MinFunc(candidates, func(a, b interpreter) int {
		da, db := rank(a.version)-want, rank(b.version)-want
		return cmp.Or(
			cmp.Compare(max(da, -da), max(db, -db)),
			slices.Compare(b.version[:], a.version[:]),
		)
	})
	rt.Interpreter, rt.Version, rt.Exact = best.path, best.String(), rank(best.version) == want
	if !rt.Exact {
		rt.Note = fmt.Sprintf("%s is not installed here; %s serves it.", name, best.name())
	}
	return rt
}
