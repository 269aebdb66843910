package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Lambda's limits of a deployment package.
const (
	maxUnzipped = 262144000 // bytes
	maxFiles    = 100_000
	maxDepth    = 64 // folders within folders, links followed
)

// A packedFile is one file of a package before it is packed.
type packedFile struct {
	name string // slash-separated, inside the package
	path string // on this machine
	mode fs.FileMode
	size int64
}

// packDir makes a zip file of a folder. The same files give the same bytes:
// the order is fixed, and times, owners and most of the modes are left out.
// Links are followed. report is told how many bytes are packed, of how many.
func packDir(dir string, report func(done, total int64)) ([]byte, error) {
	ignore, err := readIgnore(dir)
	if err != nil {
		return nil, err
	}
	c := &collector{ignore: ignore}
	if err := c.collect(dir, "", nil); err != nil {
		return nil, err
	}
	if len(c.files) == 0 {
		return nil, fmt.Errorf("%s holds no files to deploy", dir)
	}
	if c.total > maxUnzipped {
		return nil, tooLarge(c.files, c.total)
	}
	return packFiles(c.files, c.total, report)
}

// packFiles makes a zip file of files.
func packFiles(files []packedFile, total int64, report func(done, total int64)) ([]byte, error) {
	slices.SortFunc(files, func(a, b packedFile) int { return strings.Compare(a.name, b.name) })
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	var done int64
	for _, f := range files {
		n, err := packFile(zw, f)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		done += n
		report(done, total)
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return buf.Bytes(), nil
}

// packTime is the time of every file in a package: zip knows none before.
var packTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func packFile(zw *zip.Writer, f packedFile) (int64, error) {
	head := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: packTime}
	head.SetMode(0o644)
	if f.mode&0o111 != 0 {
		head.SetMode(0o755)
	}
	w, err := zw.CreateHeader(head)
	if err != nil {
		return 0, err
	}
	src, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	return io.Copy(w, io.LimitReader(src, maxUnzipped))
}

// A collector lists the files of a package.
type collector struct {
	ignore ignoreList
	files  []packedFile
	total  int64
}

// collect lists the files below dir, which is the folder name of the package.
// above holds the folders on the way here, so that a link to one of them is
// noticed.
func (c *collector) collect(dir, name string, above []fs.FileInfo) error {
	self, err := os.Stat(dir)
	if err != nil {
		return err
	}
	for _, a := range above {
		if os.SameFile(a, self) {
			return fmt.Errorf("%s links to a folder that holds it", name)
		}
	}
	if above = append(slices.Clip(above), self); len(above) > maxDepth {
		return fmt.Errorf("%s: folders more than %d deep", name, maxDepth)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range list {
		sub, file := path.Join(name, entry.Name()), filepath.Join(dir, entry.Name())
		if c.ignore.ignores(sub, entry.IsDir()) {
			continue
		}
		info, err := os.Stat(file) // of what a link leads to
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			if c.ignore.ignores(sub, true) {
				continue
			}
			if err := c.collect(file, sub, above); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			mode := info.Mode()
			if sub == "bootstrap" {
				mode |= 0o111 // it can be nothing but a program
			}
			c.files = append(c.files, packedFile{name: sub, path: file, mode: mode, size: info.Size()})
			c.total += info.Size()
			if len(c.files) > maxFiles {
				return fmt.Errorf("more than %d files", maxFiles)
			}
		}
	}
	return nil
}

// tooLarge says what makes a package too large.
func tooLarge(files []packedFile, total int64) error {
	slices.SortFunc(files, func(a, b packedFile) int { return cmp.Compare(b.size, a.size) })
	var largest []string
	for _, f := range files[:min(3, len(files))] {
		largest = append(largest, fmt.Sprintf("%s (%s)", f.name, size(f.size)))
	}
	return fmt.Errorf("%s of files, a function has at most %s: the largest are %s; %s can leave files out",
		size(total), size(maxUnzipped), strings.Join(largest, ", "), ignoreFile)
}
