package store

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/millicent-run/millicent"
)

// Bounds of a zip file's directory, which a stranger writes.
const (
	maxEntries   = 100_000  // as many directories may be implied besides
	maxDirectory = 16 << 20 // bytes; some 160 for each of the entries
	maxPath      = 2048     // bytes of a name
	maxDepth     = 128      // elements of a name
	maxElement   = 255      // bytes of one
	maxLink      = 4095     // bytes of a link's target
)

// zipError says what is wrong with a zip file.
type zipError struct {
	reason   string
	tooLarge bool // once unpacked
	empty    bool
}

func (e *zipError) Error() string { return "zip file: " + e.reason }

// message is what the protocol answers.
func (e *zipError) message() string {
	switch {
	case e.tooLarge:
		return fmt.Sprintf("Unzipped size must be smaller than %d bytes", maxUnpacked)
	case e.empty:
		return "Uploaded file must be a non-empty zip"
	}
	return "Could not unzip uploaded file. Please check your file, then try to upload again."
}

func badZip(format string, args ...any) *zipError {
	return &zipError{reason: fmt.Sprintf(format, args...)}
}

// CheckPackage reads a zip file through and returns an *millicent.Error with
// CodeInvalid and the protocol's text if it can't be deployed: not a zip file,
// names that lead out of the package, damaged contents, or files of 262144000
// bytes and more. What it passes, PackageDir unpacks. A WebAssembly module is a
// package of that one file.
func CheckPackage(r io.ReaderAt, size int64) error {
	if isModule(r, size) {
		return nil
	}
	a, err := readArchive(r, size)
	if err == nil {
		err = a.readThrough()
	}
	var bad *zipError
	if errors.As(err, &bad) {
		return &millicent.Error{Code: millicent.CodeInvalid, Message: bad.message(), Err: err}
	}
	return err
}

// moduleHead is what a WebAssembly module of version 1 begins with, and
// moduleName what a package that is one has it as.
const (
	moduleHead = "\x00asm\x01\x00\x00\x00"
	moduleName = "bootstrap"
)

// isModule reports whether a package is a WebAssembly module itself.
func isModule(r io.ReaderAt, size int64) bool {
	var head [len(moduleHead)]byte
	n, _ := r.ReadAt(head[:], 0) // what cannot be read is none
	return n == len(head) && string(head[:]) == moduleHead && size < maxUnpacked
}

// archive is a zip file whose directory has been checked.
type archive struct {
	dirs  []archived // parents first
	files []archived
	links []archived
	size  int64 // of all files together
}

// archived is one file, directory or link of an archive.
type archived struct {
	name string // clean, relative, within the archive
	file *zip.File
}

// meteredReader fails after a number of bytes. The directory of a hostile zip
// file may list a million entries, each of which costs the reader memory.
type meteredReader struct {
	r    io.ReaderAt
	left int64 // negative: no bound
}

var errDirectoryTooLarge = badZip("its directory is too large")

func (m *meteredReader) ReadAt(b []byte, off int64) (int, error) {
	if m.left >= 0 {
		if m.left -= int64(len(b)); m.left < 0 {
			m.left = 0
			return 0, errDirectoryTooLarge
		}
	}
	return m.r.ReadAt(b, off)
}

// readArchive reads the directory of a zip file and checks all that it says.
func readArchive(r io.ReaderAt, size int64) (*archive, error) {
	metered := &meteredReader{r: r, left: maxDirectory}
	z, err := zip.NewReader(metered, size)
	// Names that lead out of the archive are refused below, by our own rules.
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		if bad := (*zipError)(nil); errors.As(err, &bad) {
			return nil, bad
		}
		return nil, badZip("%v", err)
	}
	metered.left = -1
	if len(z.File) == 0 {
		return nil, &zipError{reason: "it is empty", empty: true}
	}
	if len(z.File) > maxEntries {
		return nil, badZip("it has %d entries", len(z.File))
	}
	return sortEntries(z.File)
}

// sortEntries checks the entries and sorts them by kind. Of entries with the
// same name the last counts, as everywhere.
func sortEntries(entries []*zip.File) (*archive, error) {
	a := &archive{}
	seen := make(map[string]*zip.File, len(entries))
	for _, f := range slices.Backward(entries) {
		name, err := cleanName(f.Name)
		if err != nil {
			return nil, err
		}
		if err := a.count(f); err != nil {
			return nil, err
		}
		if name == "." || seen[name] != nil {
			continue
		}
		seen[name] = f
		e := archived{name, f}
		switch mode := f.Mode(); {
		case mode.IsDir():
			a.dirs = append(a.dirs, e)
		case mode.IsRegular():
			a.files = append(a.files, e)
		case mode.Type() == linkMode:
			a.links = append(a.links, e)
		default:
			return nil, badZip("%q is neither file, directory nor link", f.Name)
		}
	}
	if err := checkParents(seen); err != nil {
		return nil, err
	}
	slices.SortFunc(a.dirs, func(a, b archived) int { return strings.Compare(a.name, b.name) })
	slices.Reverse(a.files)
	slices.Reverse(a.links)
	return a, nil
}

// checkParents checks that what lies above an entry is a directory, and that
// there are not too many of them.
func checkParents(entries map[string]*zip.File) error {
	parents := make(map[string]bool)
	for name := range entries {
		for {
			i := strings.LastIndexByte(name, '/')
			if i < 0 || parents[name[:i]] {
				break
			}
			name = name[:i]
			if f := entries[name]; f != nil && !f.Mode().IsDir() {
				return badZip("%q is both a file and a directory", name)
			}
			if parents[name] = true; len(parents) > maxEntries {
				return badZip("it has more than %d directories", maxEntries)
			}
		}
	}
	return nil
}

// count adds an entry's size, and refuses what can't be read.
func (a *archive) count(f *zip.File) error {
	if f.Flags&1 != 0 {
		return badZip("%q is encrypted", f.Name)
	}
	if f.Method != zip.Store && f.Method != zip.Deflate {
		return badZip("%q is compressed by method %d", f.Name, f.Method)
	}
	if f.Mode().Type() == linkMode && f.UncompressedSize64 > maxLink {
		return badZip("%q is a link with a target of %d bytes", f.Name, f.UncompressedSize64)
	}
	if f.UncompressedSize64 >= maxUnpacked || a.size+int64(f.UncompressedSize64) >= maxUnpacked {
		return &zipError{reason: "its files are too large", tooLarge: true}
	}
	a.size += int64(f.UncompressedSize64)
	return nil
}

// cleanName returns an entry's path within the package.
func cleanName(name string) (string, error) {
	if name == "" || len(name) > maxPath || strings.ContainsRune(name, 0) {
		return "", badZip("an entry has a name of %d bytes", len(name))
	}
	if strings.HasPrefix(name, "/") {
		return "", badZip("%q is an absolute path", name)
	}
	if strings.Count(name, "/") > maxDepth {
		return "", badZip("an entry is %d directories deep", strings.Count(name, "/"))
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", badZip("%q leads out of the package", name)
		}
		if len(element) > maxElement {
			return "", badZip("a part of a name has %d bytes", len(element))
		}
	}
	return path.Clean(name), nil
}

// readThrough reads all contents, which are thrown away.
func (a *archive) readThrough() error {
	for _, e := range slices.Concat(a.files, a.links) {
		if err := copyEntry(context.Background(), io.Discard, e.file); err != nil {
			return err
		}
	}
	return nil
}

// copyEntry copies an entry's content, which is checked against what the
// directory says of its size and its checksum. An error of w is returned as it
// is; ctx is looked at now and then.
func copyEntry(ctx context.Context, w io.Writer, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return badZip("%q: %v", f.Name, err)
	}
	defer r.Close() // closes the decompressor, nothing to report
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return badZip("%q: %v", f.Name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
