package sqs

import (
	"crypto/md5" //nolint:gosec // the protocol's own checksum, not a safeguard
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/millicent-run/millicent"
)

// BodyMD5 returns the checksum of a body that clients compare.
func BodyMD5(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// AttributesMD5 returns the checksum of message attributes that clients
// compare, empty for none: of each attribute in the order of the names, the
// name, the type, a 1 for text or a 2 for bytes, and the value, the three
// texts with their length before them in four bytes (Amazon SQS Developer
// Guide, "Calculating the MD5 message digest for message attributes").
func AttributesMD5(m *millicent.QueueMessage) string {
	if len(m.Attributes) == 0 {
		return ""
	}
	h := md5.New() //nolint:gosec // as above
	for _, name := range m.AttributeNames() {
		a := m.Attributes[name]
		sumPart(h, []byte(name))
		sumPart(h, []byte(a.Type))
		if a.IsBinary() {
			h.Write([]byte{2})
			sumPart(h, a.Binary)
		} else {
			h.Write([]byte{1})
			sumPart(h, []byte(a.Text))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sumPart(h hash.Hash, part []byte) {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(part)))
	h.Write(length[:])
	h.Write(part)
}
