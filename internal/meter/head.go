package meter

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// A Head is the end of the chain. Whoever keeps its hash elsewhere can tell
// later that nothing up to there was changed, not even by somebody who made the
// whole chain anew.
type Head struct {
	Seq     uint64 // of the last group; zero before the first
	Records uint64 // of all groups
	Hash    Hash   // of the last group
}

const (
	headMagic = "mchead01"
	headBytes = 8 + 8 + 8 + 32 + 4 // magic, sequence, records, hash, checksum
)

// readHead reads what was noted of the chain's end; the zero Head when nothing
// was, or it can't be read: it is only ever a hint that more was there.
func readHead(path string) (Head, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	if len(b) != headBytes || string(b[:8]) != headMagic ||
		crc32.Checksum(b[:headBytes-4], castagnoli) != binary.LittleEndian.Uint32(b[headBytes-4:]) {
		return Head{}, nil
	}
	return Head{
		Seq: binary.LittleEndian.Uint64(b[8:]), Records: binary.LittleEndian.Uint64(b[16:]), Hash: Hash(b[24:56]),
	}, nil
}

// writeHead notes the chain's end.
func writeHead(f io.WriterAt, h Head) error {
	b := make([]byte, 0, headBytes)
	b = append(b, headMagic...)
	b = binary.LittleEndian.AppendUint64(b, h.Seq)
	b = binary.LittleEndian.AppendUint64(b, h.Records)
	b = append(b, h.Hash[:]...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err := f.WriteAt(b, 0)
	return err
}
