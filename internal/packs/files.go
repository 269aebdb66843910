package packs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Jump is damage in the files of a log: the pack after one claims a sequence
// that is far beyond it. JetStream notes each sequence in between as deleted,
// which takes all memory and no end where a single bit has turned. So who reads
// files that may be damaged looks for that first.
type Jump struct {
	After uint64 // sequence of the last pack before
	Pack  []byte // that pack
	To    uint64
	File  string // name of the block
}

// Error implements error.
func (j *Jump) Error() string {
	return fmt.Sprintf("%s goes from pack %d to pack %d", j.File, j.After, j.To)
}

// maxJump is what a log that is only cut at its front is far from. Fewer are
// noted in no time, and found missing when the log is read.
const maxJump = 1 << 20

// Records of a block, as JetStream's file store writes them: length, sequence,
// time and the length of the subject; subject, length of the headers, headers and data; a checksum.
const (
	recordHeader   = 4 + 8 + 8 + 2
	recordChecksum = 8

	withHeaders = 1 << 31 // of a length
	erased      = 1 << 63 // of a sequence
	tombstone   = 1 << 62
)

// FindJump looks through the blocks of a log, of which dir is the directory,
// while no server runs on them. A *Jump is an error; other damage is not looked
// for.
func FindJump(dir string) error {
	blocks, err := blocksOf(dir)
	if err != nil {
		return err
	}
	var last Jump
	for _, name := range blocks {
		content, err := os.ReadFile(filepath.Join(dir, name)) // some 8 MB, as they are written
		if err != nil {
			return err
		}
		last.File = name
		if err := last.follow(content); err != nil {
			return err
		}
	}
	return nil
}

// blocksOf lists the blocks in a directory, which need not be there, in order.
func blocksOf(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSuffix(name, ".blk"))
		if err != nil {
			return -1
		}
		return n
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".blk") && number(e.Name()) >= 0 {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	return names, nil
}

// follow goes through a block after those before it, as far as lengths make
// sense: what is behind that JetStream does not read either.
func (j *Jump) follow(block []byte) error {
	for len(block) >= recordHeader {
		length := binary.LittleEndian.Uint32(block)
		sequence := binary.LittleEndian.Uint64(block[4:])
		begin := recordHeader + int(binary.LittleEndian.Uint16(block[20:]))
		headers := length&withHeaders != 0
		if length &^= withHeaders; headers {
			begin += 4
		}
		end := int(length) - recordChecksum
		if int(length) > len(block) || begin > end {
			return nil
		}
		if sequence&tombstone == 0 {
			if sequence &^= erased; j.After > 0 && sequence > j.After+maxJump {
				j.To = sequence
				return j
			}
			if sequence > j.After {
				j.After, j.Pack = sequence, data(block[:end], begin, headers)
			}
		}
		block = block[length:]
	}
	return nil
}

// data returns what a record holds behind its headers, the length of which is
// before begin if there are any.
func data(record []byte, begin int, headers bool) []byte {
	if !headers {
		return record[begin:]
	}
	length := binary.LittleEndian.Uint32(record[begin-4:])
	return record[min(begin+int(length), len(record)):]
}
