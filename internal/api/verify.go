package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millicent-run/millicent"
)

// checkSignature signs the request again, with the secret that the signer
// should have had, and compares.
func (a *Auth) checkSignature(r *http.Request, s *signature, secret string) error {
	digest, err := hashBody(r)
	if err != nil {
		return err
	}
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != digest {
		return errMismatch
	}
	want, err := a.sign(r, s, secret, digest)
	if err != nil {
		return &millicent.Error{Code: codeBadSignature, Message: errMismatch.Message, Err: err}
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.value)) != 1 {
		return errMismatch
	}
	return nil
}

var errMismatch = millicent.Errorf(codeBadSignature, "The request signature we calculated does not match the signature you provided. "+
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")

// sign returns the signature that the request should have, in hex.
func (a *Auth) sign(r *http.Request, s *signature, secret, digest string) (string, error) {
	again, err := unsigned(r, s)
	if err != nil {
		return "", err
	}
	credentials := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: secret, SessionToken: s.token}
	if s.presigned {
		uri, _, err := a.signer.PresignHTTP(r.Context(), credentials, again, digest, s.service, s.region, s.time)
		if err != nil {
			return "", err
		}
		_, value, _ := strings.Cut(uri, "&X-Amz-Signature=")
		return value, nil
	}
	if err := a.signer.SignHTTP(r.Context(), credentials, again, digest, s.service, s.region, s.time); err != nil {
		return "", err
	}
	_, value, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return value, nil
}

// unsigned returns the request as it was before it was signed: with the
// signed headers only. Their names stay in lower case, because the signer
// would leave out some that other signers do sign (User-Agent), and it knows
// those by their canonical form; what it sets itself is left to it.
func unsigned(r *http.Request, s *signature) (*http.Request, error) {
	u := *r.URL
	u.Scheme, u.Host = "", r.Host
	if u.RawQuery != "" {
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return nil, err // a part that we cannot read would go unsigned
		}
		if s.presigned {
			query.Del("X-Amz-Signature")
			u.RawQuery = query.Encode()
		}
	}
	again := (&http.Request{Method: r.Method, URL: &u, Host: r.Host, Header: http.Header{}}).WithContext(context.Background())
	for _, name := range s.headers {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			if values, ok := r.Header[http.CanonicalHeaderKey(name)]; ok {
				again.Header[name] = slices.Clone(values)
			}
		}
	}
	return again, nil
}

// hashBody reads the body and returns its SHA-256 in hex; the body can be
// read again.
func hashBody(r *http.Request) (string, error) {
	if r.ContentLength > maxRequest {
		return "", errTooLarge(maxRequest)
	}
	content, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", errTooLarge(tooLarge.Limit)
	case err != nil:
		return "", &millicent.Error{Code: "SerializationException", Message: "Could not read the request body.", Err: err}
	}
	r.Body = io.NopCloser(bytes.NewReader(content))
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}

func errTooLarge(limit int64) error {
	operation := "CreateFunction"
	if limit < maxRequest {
		operation = "InvokeFunction"
	}
	return millicent.Errorf(codeTooLarge, "Request must be smaller than %d bytes for the %s operation", limit, operation)
}
