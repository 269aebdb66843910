package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// What stays out of every package, besides what .millicentignore says.
const (
	ignoreFile    = ".millicentignore"
	ignoredAlways = ".git/\n.hg/\n.svn/\n__pycache__/\n*.pyc\n.venv/\nnode_modules/.cache/\n.DS_Store\n/" + ignoreFile + "\n"
)

// An ignoreList says which files stay out of a package. Its syntax is that of
// .gitignore: * and ? and [a-z] within a name, ** across folders, a final /
// for folders only, a / elsewhere to anchor at the top, ! to take back.
type ignoreList []ignoreRule

type ignoreRule struct {
	segments []string // of the pattern
	anchored bool
	dirOnly  bool
	keep     bool // a pattern that begins with !
}

// readIgnore reads the rules for a folder.
func readIgnore(dir string) (ignoreList, error) {
	list, err := parseIgnore(strings.NewReader(ignoredAlways))
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, ignoreFile))
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	own, err := parseIgnore(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return append(list, own...), nil
}

func parseIgnore(r io.Reader) (ignoreList, error) {
	var list ignoreList
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		var rule ignoreRule
		line, rule.keep = strings.CutPrefix(line, "!")
		line, rule.dirOnly = strings.CutSuffix(line, "/")
		rule.anchored = strings.Contains(line, "/")
		line = strings.TrimPrefix(line, "/")
		rule.segments = strings.Split(line, "/")
		for _, s := range rule.segments {
			if _, err := path.Match(s, ""); err != nil || s == "" {
				return nil, fmt.Errorf("line %d: bad pattern %q", n, lines.Text())
			}
		}
		list = append(list, rule)
	}
	return list, lines.Err()
}

// ignores reports whether a file or folder, by its slash-separated path,
// stays out. The last rule that matches decides.
func (l ignoreList) ignores(name string, isDir bool) bool {
	out := false
	for _, rule := range l {
		if rule.dirOnly && !isDir {
			continue
		}
		segments := strings.Split(name, "/")
		if !rule.anchored {
			segments = segments[len(segments)-1:]
		}
		if matchSegments(rule.segments, segments) {
			out = !rule.keep
		}
	}
	return out
}

// matchSegments matches a pattern to a path, segment by segment; a ** stands
// for any number of them.
func matchSegments(pattern, name []string) bool {
	for len(pattern) > 0 && pattern[0] != "**" {
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); !ok || err != nil {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	if len(pattern) == 0 {
		return len(name) == 0
	}
	for i := range len(name) + 1 {
		if matchSegments(pattern[1:], name[i:]) {
			return true
		}
	}
	return false
}
