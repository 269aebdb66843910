package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// buildGo builds a Go main package for the platform's machines and packs it
// as bootstrap, alone: what else a Go function needs it embeds. It is built
// for this machine's processor unless GOARCH in the environment says another.
func buildGo(ctx context.Context, dir string, output io.Writer) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "millicent-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	binary := filepath.Join(tmp, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=", "-o", binary, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%s is a Go program, and there is no go command here to build it: install Go, or build it to a file named bootstrap", dir)
		}
		return nil, fmt.Errorf("go build in %s: %w", dir, err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	file := packedFile{name: "bootstrap", path: binary, mode: info.Mode(), size: info.Size()}
	nobody := func(int64, int64) {}
	return packFiles([]packedFile{file}, info.Size(), nobody)
}

// goArch returns the architecture of what buildGo builds, in Lambda's words.
func goArch() string {
	arch := os.Getenv("GOARCH")
	if arch == "" {
		arch = runtime.GOARCH
	}
	if arch == "amd64" {
		return "x86_64"
	}
	return arch
}
