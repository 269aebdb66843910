package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An op is one thing to try. The Python attacker has the same, and the same
// answers: "ok", with what was found after a colon, or the name of the error.
type op struct {
	Op   string            `json:"op"`
	Arg  string            `json:"arg"`
	To   string            `json:"to"`
	Nr   uintptr           `json:"nr"`
	Args []json.RawMessage `json:"args"` // a number, a string, or {"zeroes": n} for so many
}

var ops = map[string]func(op) (string, error){
	"read":    opRead,
	"list":    opList,
	"write":   opWrite,
	"link":    func(o op) (string, error) { return "", syscall.Link(o.Arg, o.To) },
	"symlink": func(o op) (string, error) { return "", syscall.Symlink(o.Arg, o.To) },
	"syscall": opSyscall,
	"tcp":     func(o op) (string, error) { return dial("tcp", o.Arg) },
	"unix":    func(o op) (string, error) { return dial("unix", o.Arg) },
	"udp":     opUDP,
	"http":    func(o op) (string, error) { return httpGet(o.Arg, o.To) },
	"exec":    opExec,
}

func tryAll(list []op) []string {
	var results []string
	for _, o := range list {
		try := ops[o.Op]
		if try == nil {
			results = append(results, "no such op")
			continue
		}
		found, err := try(o)
		switch {
		case err != nil:
			results = append(results, failure(err))
		case found != "":
			results = append(results, "ok: "+found)
		default:
			results = append(results, "ok")
		}
	}
	return results
}

// failure is how err is known: an error number's name, where there is one.
func failure(err error) string {
	for inner := err; inner != nil; {
		if errno, ok := inner.(syscall.Errno); ok {
			return unix.ErrnoName(errno)
		}
		w, ok := inner.(interface{ Unwrap() error })
		if !ok {
			break
		}
		inner = w.Unwrap()
	}
	return err.Error()
}

const shown = 200

func opRead(o op) (string, error) {
	f, err := os.Open(o.Arg)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, shown)
	n, err := f.Read(b)
	if n > 0 || err == nil || err.Error() == "EOF" {
		return string(b[:n]), nil
	}
	return "", err
}

func opList(o op) (string, error) {
	entries, err := os.ReadDir(o.Arg)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " "), nil
}

// opWrite opens to write, which makes what is not there, and writes To if it
// is given.
func opWrite(o op) (string, error) {
	f, err := os.OpenFile(o.Arg, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if o.To != "" {
		_, err = f.WriteString(o.To)
	}
	return "", err
}

// pinned keeps what system calls are given pointers to.
var pinned [][]byte

func opSyscall(o op) (string, error) {
	var a [6]uintptr
	for i, raw := range o.Args {
		var n int64
		var s string
		var z struct{ Zeroes int }
		switch {
		case json.Unmarshal(raw, &n) == nil:
			a[i] = uintptr(n)
			continue
		case json.Unmarshal(raw, &s) == nil:
			pinned = append(pinned, append([]byte(s), 0))
		case json.Unmarshal(raw, &z) == nil:
			pinned = append(pinned, make([]byte, z.Zeroes))
		default:
			return "", fmt.Errorf("argument %s", raw)
		}
		a[i] = uintptr(unsafe.Pointer(&pinned[len(pinned)-1][0]))
	}
	_, _, errno := syscall.RawSyscall6(o.Nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return "", errno
	}
	return "", nil
}

const patience = 10 * time.Second

// dial connects and reads: a connection that the platform refuses after the
// kernel has made it is reset.
func dial(network, addr string) (string, error) {
	c, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	b := make([]byte, shown)
	n, err := c.Read(b)
	return string(b[:n]), err
}

// opUDP sends twice: the refusal of the first datagram is the second's error.
func opUDP(o op) (string, error) {
	c, err := net.Dial("udp", o.Arg)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	b := make([]byte, shown)
	n, err := c.Read(b)
	return string(b[:n]), err
}

// httpGet gets a path of an address and returns the answer from its start.
func httpGet(addr, path string) (string, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if !strings.Contains(path, "\r\n") {
		path = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	}
	if _, err := c.Write([]byte(path)); err != nil {
		return "", err
	}
	var all []byte
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			break
		}
	}
	return string(all), nil
}

// opExec runs a program and returns its exit code and output.
func opExec(o op) (string, error) {
	cmd := exec.Command("/bin/sh", "-c", o.Arg)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", cmd.ProcessState.ExitCode(), strings.TrimSpace(string(out))), nil
}
