package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxGrowth is by how many MB the server may grow while a large stream goes
// through it.
const maxGrowth = 16

// monotonic reads the clock that functions put in front of their streams: it
// is the machine's, the same for all processes.
func monotonic() (ns int64) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // Linux always has it
	}
	return now.Nano()
}

// streamers are the functions that stream.
func (b *bench) streamers() ([]function, error) {
	python, err := zipOf(map[string]string{"app.py": source("stream/app.py")})
	if err != nil {
		return nil, err
	}
	node, err := zipOf(map[string]string{"index.mjs": source("stream/index.mjs")})
	if err != nil {
		return nil, err
	}
	all := []function{b.functions.python, b.functions.node, b.functions.goLang}
	all[0].zip, all[1].zip = python, node
	for i := range all {
		all[i].memoryMB = wholeCore
	}
	return all, nil
}

// stream measures how long a stream's first byte takes from the function's
// write to the caller, and what a large stream costs.
func (b *bench) stream(ctx context.Context) (err error) {
	s, err := b.startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	functions, err := b.streamers()
	if err != nil {
		return err
	}
	labels := []string{"Python", "Node", "Go"}
	urls := []string{"http://" + b.bare.addr + barePathStream}
	for _, f := range functions {
		names, err := s.deploy(ctx, f, 1)
		if err != nil {
			return err
		}
		urls = append(urls, "http://"+s.addr+"/2021-11-15/functions/"+names[0]+"/response-streaming-invocations")
	}
	samples := make([][]float64, len(urls))
	for range b.size.streams {
		for i, url := range urls {
			took, err := s.firstByte(ctx, url)
			if err != nil {
				return err
			}
			samples[i] = append(samples[i], took)
		}
	}
	bare := summarise(samples[0][1:])
	for i, label := range labels {
		took := summarise(samples[i+1][1:]) // the first one starts the environment
		b.rec.add(figure{Name: label + ": first byte, p50", Unit: "ms", Value: number(took.p50), Spread: number(took.mad), N: took.n, Target: atMost(5), Bare: number(bare.p50)})
		b.rec.add(figure{Name: label + ": first byte, p99", Unit: "ms", Value: number(took.p99), Spread: number(took.mad), N: took.n, Target: atMost(5), Bare: number(bare.p99)})
		if err := b.largeStream(ctx, s, label, urls[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// firstByte calls a function that streams, and returns how many milliseconds
// its first write took to the caller.
func (s *server) firstByte(ctx context.Context, url string) (ms float64, err error) {
	body, err := s.open(ctx, url, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	said, buf := []byte(nil), make([]byte, 4096)
	for {
		n, err := body.Read(buf)
		at := monotonic()
		said = append(said, buf[:n]...)
		if _, stamp, ok := bytes.Cut(said, []byte("@")); ok {
			if digits, _, ok := bytes.Cut(stamp, []byte("\n")); ok {
				written, err := strconv.ParseInt(string(digits), 10, 64)
				if err != nil {
					return 0, fmt.Errorf("the stream begins with %.100q", said)
				}
				_, err = io.Copy(io.Discard, body)
				return float64(at-written) / 1e6, err
			}
		}
		if err != nil {
			return 0, fmt.Errorf("the stream is %.100q: %w", said, err)
		}
	}
}

// open calls a function that streams so many MB.
func (s *server) open(ctx context.Context, url string, mb int) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(fmt.Sprintf(`{"mb":%d}`, mb)))
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("stream: %s", resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}

// largeStream measures one that is as large as may be.
func (b *bench) largeStream(ctx context.Context, s *server, label, url string) error {
	before, err := residentMB(s.pid())
	if err != nil {
		return err
	}
	if err := forgetPeak(s.pid()); err != nil {
		return err
	}
	began := time.Now()
	body, err := s.open(ctx, url, b.size.streamMB)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, body)
	took := time.Since(began)
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	if n < int64(b.size.streamMB)<<20 {
		return fmt.Errorf("%s streamed %d bytes of %d MB", label, n, b.size.streamMB)
	}
	peak, err := peakMB(s.pid())
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s: %d MB", label, b.size.streamMB)
	b.rec.add(figure{Name: name, Unit: "MB/s", Value: number(float64(n) / (1 << 20) / took.Seconds()), N: 1})
	b.rec.add(figure{
		Name: name + ", growth of the server", Unit: "MB", Value: number(max(0, peak-before)), N: 1, Target: atMost(maxGrowth),
		Note: fmt.Sprintf("resident memory %s MB before, %s at its highest", digits(before), digits(peak)),
	})
	return nil
}

// forgetPeak has the kernel begin anew with the highest resident memory of a
// process, which peakMB returns.
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
