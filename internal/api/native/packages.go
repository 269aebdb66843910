package native

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// linkLife is how long a download link works; AWS's work as long.
const linkLife = 10 * time.Minute

// Links makes and reads the tokens of download links. A token holds the
// package's digest and size and the link's end, and an HMAC over them: nobody
// can make one who has not been given it.
type Links struct {
	Secret []byte
	Now    func() time.Time // nil means time.Now
}

// lengths of a token's parts before encoding: digest, size, end, MAC.
const (
	linkBody  = sha256.Size + 8 + 8
	linkToken = linkBody + sha256.Size
)

// linkEncoding is strict, so that a token has one form.
var linkEncoding = base64.RawURLEncoding.Strict()

// Path returns the path of a link to a package, to follow a server's address.
func (l *Links) Path(p millicent.Package) (string, error) {
	digest, err := hex.DecodeString(p.SHA256)
	if err != nil || len(digest) != sha256.Size {
		return "", fmt.Errorf("package %q has no SHA-256", p.SHA256)
	}
	token := binary.BigEndian.AppendUint64(digest, uint64(p.Size))
	token = binary.BigEndian.AppendUint64(token, uint64(l.now().Add(linkLife).Unix()))
	token = append(token, l.mac(token)...)
	return Prefix + "packages/" + linkEncoding.EncodeToString(token), nil
}

// open returns the package that a token names; ok is false for a forged or
// expired one.
func (l *Links) open(token string) (p millicent.Package, ok bool) {
	if len(token) != linkEncoding.EncodedLen(linkToken) {
		return p, false
	}
	b, err := linkEncoding.DecodeString(token)
	if err != nil || !hmac.Equal(b[linkBody:], l.mac(b[:linkBody])) {
		return p, false
	}
	end := time.Unix(int64(binary.BigEndian.Uint64(b[sha256.Size+8:])), 0)
	if l.now().After(end) {
		return p, false
	}
	p.SHA256 = hex.EncodeToString(b[:sha256.Size])
	p.Size = int64(binary.BigEndian.Uint64(b[sha256.Size:]))
	return p, true
}

func (l *Links) mac(body []byte) []byte {
	m := hmac.New(sha256.New, l.Secret)
	m.Write([]byte("package link\x00"))
	m.Write(body)
	return m.Sum(nil)
}

func (l *Links) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

// download serves a package to whoever holds its link.
func (h *Handler) download(w http.ResponseWriter, r *http.Request) error {
	p, ok := h.cfg.Links.open(r.PathValue("token"))
	if !ok {
		return millicent.Errorf(millicent.CodeAccessDenied, "The link is not valid, or no longer: ask for the function again")
	}
	zip, err := h.cfg.Store.OpenPackage(p)
	if err != nil {
		return err
	}
	defer func() { _ = zip.Close() }() // it was only read
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Length", strconv.FormatInt(p.Size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, zip); err != nil {
		h.cfg.Log.Debug("package download ended early", "package", p.SHA256, "error", err)
	}
	return nil
}
