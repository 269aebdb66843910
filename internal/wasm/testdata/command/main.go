// The program command answers an event with what it found, over standard input
// and output.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type event struct {
	Do    string `json:"do"`
	Path  string `json:"path"`
	Value string `json:"value"`
	N     int    `json:"n"`
}

func main() {
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var e event
	if err := json.Unmarshal(in, &e); err != nil {
		panic(err)
	}
	out, err := do(e)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}

var kept [][]byte

func do(e event) (any, error) {
	switch e.Do {
	case "echo":
		return e.Value, nil
	case "log":
		fmt.Fprintln(os.Stderr, e.Value)
		return nil, nil
	case "env":
		return os.Getenv(e.Path), nil
	case "write":
		return nil, os.WriteFile(e.Path, []byte(e.Value), 0o600)
	case "files":
		for i := range e.N {
			f, err := os.OpenFile(fmt.Sprint("/tmp/", i), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return nil, err
			}
			if _, err := f.WriteString(e.Value); err != nil { // and it stays open
				return nil, err
			}
		}
		return e.N, nil
	case "read":
		b, err := os.ReadFile(e.Path)
		return string(b), err
	case "list":
		entries, err := os.ReadDir(e.Path)
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return strings.Join(names, " "), err
	case "move":
		return nil, os.Rename(e.Path, e.Value)
	case "remove":
		return nil, os.Remove(e.Path)
	case "sleep":
		begin := time.Now()
		time.Sleep(time.Duration(e.N) * time.Millisecond)
		return time.Since(begin) >= time.Duration(e.N)*time.Millisecond, nil
	case "spin":
		for i := 0; ; i++ {
			if i < 0 {
				return i, nil
			}
		}
	case "recurse":
		return recurse(1), nil
	case "allocate":
		for range e.N {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			kept = append(kept, b)
		}
		return len(kept), nil
	case "exit":
		os.Exit(e.N)
	case "large":
		return strings.Repeat("x", e.N), nil
	}
	return nil, fmt.Errorf("cannot %q", e.Do)
}

func recurse(n int) int {
	if n == 0 {
		return 0
	}
	return recurse(n+1) + 1
}
