package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/millicent-run/millicent/internal/process/bootstrap"
	"github.com/millicent-run/millicent/internal/sandbox"
)

// worthCompiling reports whether a package has so much code that its start is
// faster when that is compiled.
func worthCompiling(dir string, rt Runtime) (bool, error) {
	left, suffixes := int64(leastNode), []string{".js", ".cjs"}
	if family, _ := splitRuntime(rt.Name); family == familyPython {
		left, suffixes = leastPython, []string{".py"}
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, suffix := range suffixes {
			if !strings.HasSuffix(name, suffix) {
				continue
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			if left -= fi.Size(); left <= 0 {
				return fs.SkipAll
			}
		}
		return nil
	})
	return left <= 0, err
}

// compile has an interpreter compile the package in dir, in a sandbox that
// reaches nothing and ends with it.
func (c *compiler) compile(ctx context.Context, job compilation, dir string) (err error) {
	l := c.launcher
	spec := l.preparedSpec()
	spec.UDP, spec.Redirect = nil, 0
	spec.Memory, spec.Pids = compilationMemory, compilationPids
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: dir, Target: taskRoot})
	box, err := l.cfg.Host.New(ctx, spec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	args := compileCommand(job.runtime)
	p, err := box.Start(sandbox.Cmd{Path: args[0], Args: args, Env: stemEnviron(job.runtime), Dir: "/", Stdout: w})
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) }) // it may be closed by then
	defer stop()
	return l.cfg.Compiled.PutCompiled(job.version.Package, job.slot.slot, c.identity(job.runtime), &programOutput{pipe: r, process: p, ctx: ctx})
}

// compileCommand returns what compiles a package of a language.
func compileCommand(rt Runtime) []string {
	program := bootstrap.NodeCompiler
	if family, _ := splitRuntime(rt.Name); family == familyPython {
		program = bootstrap.PythonCompiler
	}
	return []string{rt.Interpreter, path.Join(runtimeDir, program), taskRoot, strconv.Itoa(compilationOutput)}
}

// programOutput reads what a program writes. Its end is the program's, and an
// error unless that was a success and had something to say.
type programOutput struct {
	any     bool
	pipe    *os.File
	process *sandbox.Process
	ctx     context.Context
}

func (o *programOutput) Read(b []byte) (int, error) {
	n, err := o.pipe.Read(b)
	if err == nil {
		o.any = o.any || n > 0
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		select {
		case <-o.process.Done():
			if status := o.process.Status(); status != (sandbox.ExitStatus{}) {
				return n, fmt.Errorf("%w: exit code %d, signal %d", errCompilation, status.Code, status.Signal)
			}
			if !o.any {
				return n, errNothing
			}
			return n, io.EOF
		case <-o.ctx.Done():
		}
	}
	if errors.Is(o.ctx.Err(), context.DeadlineExceeded) {
		return n, fmt.Errorf("%w: it takes more than %v", errCompilation, compilationTime)
	}
	return n, err
}
