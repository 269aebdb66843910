// Package sealed is the form of files in the cache of WebAssembly: SHA-256 of
// the rest, the size of the head in 4 bytes (little-endian), the head as JSON,
// and content. A file that was not written to its end, or changed, is found out.
// Against somebody who writes such files it is no protection.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Seal returns a file. It panics for a head that has no JSON form.
func Seal(head any, content ...[]byte) []byte {
	b, err := json.Marshal(head)
	if err != nil {
		panic(fmt.Sprintf("sealed: %v", err))
	}
	size := sha256.Size + 4 + len(b)
	for _, part := range content {
		size += len(part)
	}
	out := make([]byte, sha256.Size, size)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(b))), b...)
	for _, part := range content {
		out = append(out, part...)
	}
	digest := sha256.Sum256(out[sha256.Size:])
	copy(out, digest[:])
	return out
}

// Open reads a file that Seal returned: it stores its head in head, and returns
// its content, which shares the file's bytes. ok is false for anything else.
func Open(file []byte, head any) (content []byte, ok bool) {
	if len(file) < sha256.Size+4 {
		return nil, false
	}
	rest := file[sha256.Size:]
	if digest := sha256.Sum256(rest); !bytes.Equal(digest[:], file[:sha256.Size]) {
		return nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(rest))
	if rest = rest[4:]; n > uint64(len(rest)) || json.Unmarshal(rest[:n], head) != nil {
		return nil, false
	}
	return rest[n:], true
}
