package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// FunctionKeys makes the access keys that functions carry in their
// environment. They are derived from a secret of the server, so that nothing
// has to be stored: the token says whose they are, under a MAC.
type FunctionKeys struct{ Secret []byte }

// Credentials is an access key with its session token.
type Credentials struct{ ID, Secret, Token string }

// For returns a function's credentials, the same ones each time.
func (k FunctionKeys) For(tenant, function string) Credentials {
	name := tenant + "\x00" + function
	return Credentials{
		ID:     "ASIA" + base32.StdEncoding.EncodeToString(k.mac("id", name))[:16],
		Secret: base64.StdEncoding.EncodeToString(k.mac("secret", name))[:40],
		Token: base64.RawURLEncoding.EncodeToString([]byte(name)) + "." +
			base64.RawURLEncoding.EncodeToString(k.mac("token", name)),
	}
}

// open returns whose credentials an id and token are, and the secret that
// goes with them; ok is false when they are none of ours.
func (k FunctionKeys) open(id, token string) (tenant, function, secret string, ok bool) {
	encoded, _, _ := strings.Cut(token, ".")
	name, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", "", false
	}
	tenant, function, found := strings.Cut(string(name), "\x00")
	if !found {
		return "", "", "", false
	}
	c := k.For(tenant, function)
	if !hmac.Equal([]byte(c.Token), []byte(token)) || !hmac.Equal([]byte(c.ID), []byte(id)) {
		return "", "", "", false
	}
	return tenant, function, c.Secret, true
}

func (k FunctionKeys) mac(purpose, name string) []byte {
	m := hmac.New(sha256.New, k.Secret)
	m.Write([]byte("function " + purpose + "\x00" + name))
	return m.Sum(nil)
}
