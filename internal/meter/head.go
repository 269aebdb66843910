package meter

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// A Head is the end of the chain. Whoever keeps its hash elsewhere can tell
// later that nothing up to there was changed, not even by somebody who made the
// whole chain anew.
type Head struct {
	Seq     uint64 // of the last group; zero before the first
	Records uint64 // of all groups
	Hash    Hash   // of the last group
}

// String returns the head as people note it: the group's number and its hash.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Seq, h.Hash) }

// ParseHead is the inverse of String; the number of records is not known then.
func ParseHead(s string) (h Head, err error) {
	number, hash, ok := strings.Cut(s, ":")
	h.Seq, err = strconv.ParseUint(number, 10, 64)
	b, hexErr := hex.DecodeString(hash)
	if !ok || err != nil || hexErr != nil || len(b) != len(h.Hash) || h.Seq == 0 {
		return Head{}, fmt.Errorf("%.100q is not the head of a ledger, such as 42:9f86d081…, as `millicent ledger head` prints it", s)
	}
	h.Hash = Hash(b)
	return h, nil
}

// headForm is a Head in JSON.
type headForm struct {
	Seq     uint64 `json:"seq"`
	Records uint64 `json:"records,omitempty"`
	Hash    string `json:"hash"` // in hexadecimal digits
}

// MarshalJSON implements json.Marshaler.
func (h Head) MarshalJSON() ([]byte, error) {
	return json.Marshal(headForm{h.Seq, h.Records, hex.EncodeToString(h.Hash[:])})
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Head) UnmarshalJSON(b []byte) error {
	var in headForm
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	hash, err := hex.DecodeString(in.Hash)
	if err != nil || len(hash) != len(h.Hash) {
		return errors.New("not the hash of a group")
	}
	*h = Head{in.Seq, in.Records, Hash(hash)}
	return nil
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
