package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The floors are what the steps of other scenarios take without millicent: no
// sandbox, no API. A target below its floor is not within reach of this machine.

const floorEvents = 2000 // of the Go function, after its first ones

// floors measures them in turns.
func (b *bench) floors(ctx context.Context) error {
	empty := filepath.Join(b.tmp, "empty.cjs")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return err
	}
	starts := []struct {
		name string
		args []string
	}{
		{"python3 -c pass", []string{b.runtimes["python"].Interpreter, "-c", "pass"}},
		{"node, an empty file", []string{b.runtimes["nodejs"].Interpreter, empty}},
	}
	wall, cpu := make([][]float64, len(starts)), make([][]float64, len(starts))
	var first []float64
	for range b.size.emptyStarts {
		for i, s := range starts {
			took, used, err := bareRun(ctx, s.args)
			if err != nil {
				return err
			}
			wall[i], cpu[i] = append(wall[i], ms(took)), append(cpu[i], ms(used))
		}
		took, _, err := driveGo(ctx, b.goProgram, 0)
		if err != nil {
			return err
		}
		first = append(first, ms(took))
	}
	for i, s := range starts {
		b.rec.floor(s.name+": from its start to its end", "ms", wall[i], "processor time "+digits(median(cpu[i]))+" ms")
	}
	b.rec.floor("the Go function: from its start to its first answer", "ms", first, "")
	_, each, err := driveGo(ctx, b.goProgram, floorEvents)
	if err != nil {
		return err
	}
	b.rec.floor("the Go function, warm: from event to answer", "µs", each, "written and read by one thread")
	return nil
}

// floor records a median.
func (r *recorder) floor(name, unit string, samples []float64, note string) {
	s := summarise(samples)
	if note != "" {
		note += ", "
	}
	r.add(figure{
		Name: name, Unit: unit, Value: number(s.p50), Spread: number(s.mad), N: s.n, Bare: unknown,
		Note: note + fmt.Sprintf("min %s, p90 %s", digits(s.min), digits(s.p90)),
	})
}

// bareRun runs a program to its end.
func bareRun(ctx context.Context, args []string) (took, used time.Duration, err error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=en_US.UTF-8"}
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", args[0], err)
	}
	return time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// driveGo starts the Go function and gives it one event and n more. It returns
// the time from its start to its first answer, and those from event to answer
// of the others in microseconds.
func driveGo(ctx context.Context, program string, n int) (first time.Duration, each []float64, err error) {
	p, err := newPlatform()
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + p.addr}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	defer func() {
		_ = cmd.Process.Kill() // it would wait for events for ever
		_ = cmd.Wait()         // says that it was killed
	}()
	if err := p.accept(); err != nil {
		return 0, nil, err
	}
	if _, err := p.invoke(); err != nil {
		return 0, nil, err
	}
	first = time.Since(began)
	for range n {
		took, err := p.invoke()
		if err != nil {
			return 0, nil, err
		}
		each = append(each, float64(took)/1e3)
	}
	return first, each, nil
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
