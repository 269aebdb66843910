package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/millicent-run/millicent/internal/wasm/wire"
)

// sendPackage sends a package's regular files. What is wrong with it is told
// to the worker, which fails to load it then.
func sendPackage(ctx context.Context, conn *wire.Conn, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return refuse(conn, err)
	}
	defer root.Close()
	buf := make([]byte, wire.MaxPart)
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return &packageError{err}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !e.Type().IsRegular() {
			return nil
		}
		return sendFile(conn, root, path, buf)
	})
	var bad *packageError
	if errors.As(err, &bad) {
		return refuse(conn, bad.error)
	}
	if err != nil {
		return err
	}
	return conn.Send(conn.Begin(wire.Done), nil)
}

// A packageError is one of the package's, between whole files.
type packageError struct{ error }

// sendFile sends one.
func sendFile(conn *wire.Conn, root *os.Root, path string, buf []byte) error {
	f, err := root.Open(path)
	if err != nil {
		return &packageError{err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return &packageError{err}
	}
	head := wire.FileHead{Path: path, Size: info.Size(), Modified: info.ModTime()}
	if err := conn.Send(head.Append(conn.Begin(wire.File)), nil); err != nil {
		return err
	}
	for left := head.Size; left > 0; {
		n, err := io.ReadFull(f, buf[:min(left, int64(len(buf)))])
		if err != nil {
			return &packageError{fmt.Errorf("read %s: %w", path, err)}
		}
		if err := conn.Send(conn.Begin(wire.Part), buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// refuse tells that there is no package.
func refuse(conn *wire.Conn, why error) error {
	text := why.Error()
	return conn.Send(conn.Begin(wire.Refuse), []byte(text[:min(len(text), 4<<10)]))
}
