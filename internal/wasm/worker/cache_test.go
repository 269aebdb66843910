package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A tenant's cache has a bounded size: the oldest files make room.
func TestCacheIsBounded(t *testing.T) {
	c := cache{dir: filepath.Join(t.TempDir(), "a"), size: 100}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	add := func(name string, size int, age time.Duration) error {
		f, err := c.begin(int64(size))
		if err != nil {
			return err
		}
		if _, err := f.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := c.add(f, name); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1_700_000_000, 0).Add(-age)
		return os.Chtimes(filepath.Join(c.dir, name), at, at)
	}
	names := []string{"wazero-1/a", "wazero-1/b", "javascript-c", "wazero-2/d"}
	for i, name := range names {
		if err := add(name, 40, -time.Duration(i)*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("wazero-1/large", 101, 0); err == nil {
		t.Error("a file that is larger than the cache is kept")
	}
	for i, name := range names {
		_, err := os.Stat(filepath.Join(c.dir, name))
		if want := i >= 2; (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCachedNames(t *testing.T) {
	key := strings.Repeat("0a", 32)
	for name, want := range map[string]bool{
		"wazero-v1.12.0-amd64-linux/" + key: true,
		"javascript-" + key[:32]:            true,
		"module-" + key[:32]:                true,
		"module-" + key:                     false,
		"wazero-1/../" + key:                false,
		"wazero-/../" + key:                 false,
		"../wazero-1/" + key:                false,
		"/wazero-1/" + key:                  false,
		"wazero-1/" + key + ".tmp":          false,
		"wazero-1/" + key + "\n":            false,
		"javascript-..":                     false,
		"new-1":                             false,
		"":                                  false,
	} {
		if got := cached.MatchString(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
}
