package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A tally is how far a bomb got, and what stopped it.
type tally struct {
	N   int    `json:"n"`
	Err string `json:"err"`
}

func init() {
	for name, deed := range map[string]func(event) any{
		"forks":       forks,
		"memory":      memory,
		"fill":        fill,
		"inodes":      inodes,
		"descriptors": descriptors,
		"spin":        spin,
		"flood":       flood,
		"connections": connections,
		"datagrams":   datagrams,
		"bodies":      bodies,
		"swarm":       swarm,
		"wait":        func(e event) any { e.hold(); return "ok" },
		"leave":       leave,
	} {
		deeds[name] = deed
	}
}

func (e event) hold() { time.Sleep(time.Duration(e.Hold) * time.Millisecond) }

// forks starts processes until it cannot, and leaves them behind.
func forks(e event) any {
	for n := 0; ; n++ {
		_, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, &syscall.ProcAttr{})
		if err != nil {
			e.hold()
			return tally{n, failure(err)}
		}
	}
}

// memory takes memory until it is ended.
func memory(event) any {
	var held [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
		if len(held) == 1<<14 {
			return tally{len(held), "nobody minds"}
		}
	}
}

// fill writes to a file until it cannot, N MB at most; it tells the MB.
func fill(e event) any {
	f, err := os.Create(e.Path)
	if err != nil {
		return tally{0, failure(err)}
	}
	defer f.Close()
	block := make([]byte, 1<<18)
	for i := range block {
		block[i] = byte(i)
	}
	written := 0
	for written < e.N<<20 {
		n, err := f.Write(block)
		written += n
		if err != nil {
			return tally{written >> 20, failure(err)}
		}
	}
	return tally{written >> 20, "nobody minds"}
}

// inodes makes empty files in a directory until it cannot, N at most.
func inodes(e event) any {
	for n := range e.N {
		f, err := os.Create(filepath.Join(e.Path, "file-"+strconv.Itoa(n)))
		if err != nil {
			return tally{n, failure(err)}
		}
		f.Close()
	}
	return tally{e.N, "nobody minds"}
}

// descriptors opens files until it cannot, and closes them again.
func descriptors(e event) any {
	var held []int
	defer func() {
		for _, fd := range held {
			syscall.Close(fd)
		}
	}()
	for {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			e.hold()
			return tally{len(held), failure(err)}
		}
		held = append(held, fd)
	}
}

// spin computes in N threads while it is held, and tells the milliseconds of
// CPU that it got.
func spin(e event) any {
	end := time.Now().Add(time.Duration(e.Hold) * time.Millisecond)
	var before, after unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
		return tally{0, failure(err)}
	}
	var wg sync.WaitGroup
	for range e.N {
		wg.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	wg.Wait()
	if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
		return tally{0, failure(err)}
	}
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return tally{int(used / 1e6), ""}
}

// flood writes its first argument to the log, again and again while it is
// held; it tells the MB.
func flood(e event) any {
	var block []byte
	for len(block) < 1<<16 {
		block = append(block, e.Args[0]...)
	}
	written := 0
	for end := time.Now().Add(time.Duration(e.Hold) * time.Millisecond); time.Now().Before(end); {
		n, err := os.Stdout.Write(block)
		written += n
		if err != nil {
			return tally{written >> 20, failure(err)}
		}
	}
	return tally{written >> 20, ""}
}

// connections opens N connections to an address, sends each its first
// argument, and holds them all; it tells how many there are in the end.
func connections(e event) any {
	var mu sync.Mutex
	var held []net.Conn
	refused := ""
	slots := make(chan struct{}, 64)
	var wg sync.WaitGroup
	for range e.N {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c, err := net.DialTimeout("tcp", e.Addr, 2*time.Second)
			if err == nil && len(e.Args) > 0 {
				c.SetWriteDeadline(time.Now().Add(2 * time.Second))
				_, err = c.Write([]byte(e.Args[0]))
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused = failure(err)
				return
			}
			held = append(held, c)
		})
	}
	wg.Wait()
	e.hold()
	for _, c := range held {
		c.Close()
	}
	return tally{len(held), refused}
}

// datagrams fills the buffers of N sockets that nobody reads, and holds them;
// it tells the MB that were sent.
func datagrams(e event) any {
	sent := 0
	var held []net.PacketConn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	block := make([]byte, 60000)
	for range e.N {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return tally{sent >> 20, failure(err)}
		}
		held = append(held, c)
		c.(*net.UDPConn).SetReadBuffer(1 << 30) // as much as the machine allows
		for range 16 {
			n, err := c.WriteTo(block, c.LocalAddr())
			if err != nil {
				break
			}
			sent += n
		}
	}
	e.hold()
	return tally{sent >> 20, ""}
}

// leave leaves a process behind that writes what it finds in its environment
// and in a file to another file, over and over.
func leave(e event) any {
	_, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", e.Args[0]}, &syscall.ProcAttr{
		Env: os.Environ(),
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return failure(err)
	}
	return "ok"
}

// bodies sends N requests with bodies of Path bytes together that are never
// complete, and holds them; it tells how many there are.
func bodies(e event) any {
	total, err := strconv.Atoi(e.Path)
	if err != nil {
		return tally{0, err.Error()}
	}
	block := make([]byte, 1<<16)
	var mu sync.Mutex
	result := tally{}
	var wg, sent sync.WaitGroup
	stop := make(chan struct{})
	for i := range e.N {
		size := total / e.N
		if i == 0 {
			size += total % e.N
		}
		sent.Add(1)
		wg.Go(func() {
			err := hold(e.Addr, e.Args[0], size, block, sent.Done, stop)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				result.Err = failure(err)
				return
			}
			result.N++
		})
	}
	sent.Wait()
	e.hold()
	close(stop)
	wg.Wait()
	return result
}

func hold(addr, head string, size int, block []byte, sent func(), stop chan struct{}) error {
	defer func() {
		if sent != nil {
			sent()
		}
	}()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte(head)); err != nil {
		return err
	}
	for size > 0 {
		n, err := c.Write(block[:min(size, len(block))])
		if err != nil {
			return err
		}
		size -= n
	}
	sent()
	sent = nil
	<-stop
	return nil
}

// swarm invokes a function, Path, N times at once, and tells how often it was
// answered in each way.
func swarm(e event) any {
	body, err := json.Marshal(event{Do: "wait", Hold: e.Hold})
	if err != nil {
		return tally{0, err.Error()}
	}
	answers := make(chan string, e.N)
	for range e.N {
		go func() {
			resp, err := http.Post("http://"+e.Addr+"/2015-03-31/functions/"+e.Path+"/invocations", "application/json", bytes.NewReader(body))
			if err != nil {
				answers <- failure(err)
				return
			}
			defer resp.Body.Close()
			answers <- resp.Status
		}()
	}
	seen := map[string]int{}
	for range e.N {
		seen[<-answers]++
	}
	return seen
}
