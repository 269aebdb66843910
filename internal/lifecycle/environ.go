package lifecycle

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/millicent-run/millicent"
)

// StreamName returns a new log stream's name.
func StreamName(v *millicent.Version, now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return fmt.Sprintf("%s[%s]%s", now.UTC().Format("2006/01/02/"), v.Number, hex.EncodeToString(id[:]))
}

// LogGroup returns the version's log group.
func LogGroup(v *millicent.Version) string {
	if v.LogGroup != "" {
		return v.LogGroup
	}
	return "/aws/lambda/" + v.Function
}
