package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/console"
	"github.com/millicent-run/millicent/internal/api/native"
)

// The console is a page in a browser, which cannot sign what it asks for. Its
// user signs in with an access key and gets a token, which the page keeps for
// itself and sends as a bearer's: not in a cookie, which a browser would send
// along with what other pages ask for, and to other ports of this machine. The
// token is the access key's, for reading, until it expires or the key is
// deleted; nothing is stored.

const (
	sessionPath  = console.Prefix + "session"
	sessionLife  = 8 * time.Hour
	maxSignIn    = 4 << 10 // bytes of a sign-in's body
	codeSignIn   = "SignInFailedException"
	codeExpired  = "ExpiredTokenException"
	bearer       = "Bearer "
	maxTokenName = 128 // bytes of an access key's id
)

// isConsole reports whether a request is for the console's own files, or to
// sign in. Functions have no console.
func isConsole(r *http.Request) bool {
	_, inside := millicent.CallerFrom(r.Context())
	return !inside && (strings.HasPrefix(r.URL.Path, console.Prefix) || isConsoleRoot(r))
}

// isConsoleRoot reports whether a request leaves out the slash at the end of
// the console's path.
func isConsoleRoot(r *http.Request) bool {
	return r.URL.Path == strings.TrimSuffix(console.Prefix, "/")
}

func (h *Handler) serveConsole(w http.ResponseWriter, r *http.Request) error {
	switch {
	case isConsoleRoot(r):
		http.Redirect(w, r, console.Prefix, http.StatusMovedPermanently)
		return nil
	case r.URL.Path == sessionPath && r.Method == http.MethodPost:
		return h.signIn(w, r)
	}
	h.cfg.Console.ServeHTTP(w, r)
	return nil
}

// identify returns whom a request comes from: who holds the token of a session,
// where reading is asked for, else who signed.
func (h *Handler) identify(r *http.Request) (millicent.Identity, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), bearer)
	reads := strings.HasPrefix(r.URL.Path, native.Prefix) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	_, inside := millicent.CallerFrom(r.Context())
	if !ok || !reads || inside || !h.cfg.Auth.cfg.Verified {
		return h.cfg.Auth.Identify(r)
	}
	return h.cfg.Auth.session(token)
}

// signIn answers an access key with a token.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn)).Decode(&in); err != nil {
		return &millicent.Error{Code: codeSignIn, Message: "The request to sign in could not be read.", Err: err}
	}
	a := h.cfg.Auth
	secret, tenant, known := a.cfg.Key(in.AccessKeyID)
	want, given := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(in.SecretAccessKey))
	if equal := subtle.ConstantTimeCompare(want[:], given[:]) == 1; !equal || !known {
		return millicent.Errorf(codeSignIn, "There is no such access key, or its secret is another one.")
	}
	expires := a.cfg.Now().Add(sessionLife).UTC().Truncate(time.Second)
	body, err := json.Marshal(map[string]any{
		"token": a.token(in.AccessKeyID, expires), "expires": expires, "account": tenant,
	})
	if err != nil {
		return err
	}
	h.cfg.Log.Info("signed in to the console", "key", in.AccessKeyID, "tenant", tenant)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // a client that left misses nothing
	return nil
}

// sessionEncoding is strict, so that a token has one form.
var sessionEncoding = base64.RawURLEncoding.Strict()

// token returns the token of an access key's session: when it ends, whose it
// is, and a MAC over both.
func (a *Auth) token(key string, expires time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	b = append(b, key...)
	return sessionEncoding.EncodeToString(append(b, a.sessionMAC(b)...))
}

func (a *Auth) sessionMAC(b []byte) []byte {
	m := hmac.New(sha256.New, a.cfg.FunctionKeys.Secret)
	m.Write([]byte("console session\x00"))
	m.Write(b)
	return m.Sum(nil)
}

// session returns whose token it is.
func (a *Auth) session(token string) (millicent.Identity, error) {
	refused := millicent.Errorf(codeExpired, "The session has expired, or its access key was deleted: sign in again.")
	if len(token) > sessionEncoding.EncodedLen(8+maxTokenName+sha256.Size) {
		return millicent.Identity{}, refused
	}
	b, err := sessionEncoding.DecodeString(token)
	if err != nil || len(b) < 8+sha256.Size {
		return millicent.Identity{}, refused
	}
	b, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(mac, a.sessionMAC(b)) || !a.cfg.Now().Before(time.Unix(int64(binary.BigEndian.Uint64(b)), 0)) {
		return millicent.Identity{}, refused
	}
	key := string(b[8:])
	_, tenant, ok := a.cfg.Key(key)
	if !ok {
		return millicent.Identity{}, refused
	}
	return millicent.Identity{Tenant: tenant, AccessKey: key}, nil
}
