package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestKeys(t *testing.T) {
	js := newJetStream(t)
	s := mustOpen(t, js, Config{})
	first, err := s.CreateKey(t.Context(), testTenant)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^AKML[A-Z0-9]{16}$`).MatchString(first.ID) || len(first.Secret) != 40 {
		t.Errorf("id %q, secret of %d characters", first.ID, len(first.Secret))
	}
	second, err := s.CreateKey(t.Context(), "111111111111")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, mustOpen(t, js, Config{})} {
		if got, ok := s.Key(first.ID); !ok || got != first {
			t.Errorf("Key: %v, %v", got, ok)
		}
		if diff := cmp.Diff([]AccessKey{first, second}, s.Keys()); diff != "" {
			t.Errorf("Keys (-want +got):\n%s", diff)
		}
	}
	if err := s.DeleteKey(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Key(first.ID); ok {
		t.Error("a deleted key is there")
	}
	for _, id := range []string{first.ID, "AKMLNONE", "*", ""} {
		if err := s.DeleteKey(t.Context(), id); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("deleting %q: %v", id, err)
		}
	}
	if _, err := s.CreateKey(t.Context(), ""); millicent.ErrorCode(err) != millicent.CodeInvalid {
		t.Errorf("a key for nobody: %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	key := AccessKey{ID: "AKML", Secret: "hush"}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s", key, key, &key, key)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", key)
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", key)
	if strings.Contains(out.String(), "hush") {
		t.Errorf("the secret is in %s", out.String())
	}
}
