package store

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

type thing struct {
	Label string
	Count int
	Tags  map[string]string
}

func openThings(t *testing.T, js jetstream.JetStream) *Catalog[thing] {
	t.Helper()
	c, err := OpenCatalog[thing](t.Context(), js, "things", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestCatalog(t *testing.T) {
	js := newJetStream(t)
	c := openThings(t, js)
	ctx := t.Context()
	var log []string
	c.OnChange(func(before, after *thing) { log = append(log, fmt.Sprint(before != nil, after != nil)) })

	odd := "with space/slash.dot=*>é" // names are whatever users call things
	for _, name := range []string{odd, "a", strings.Repeat("n", maxNameBytes)} {
		if err := c.Create(ctx, testTenant, name, &thing{Label: name}); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if err := c.Create(ctx, testTenant, name, &thing{}); millicent.ErrorCode(err) != millicent.CodeConflict {
			t.Errorf("%q again: %v", name, err)
		}
	}
	if err := c.Create(ctx, "111111111111", "a", &thing{Label: "another's"}); err != nil {
		t.Fatal(err)
	}
	updated, err := c.Update(ctx, testTenant, "a", func(v *thing) error { v.Count, v.Tags = 7, map[string]string{"k": "v"}; return nil })
	if err != nil || updated.Count != 7 {
		t.Fatalf("update: %+v, %v", updated, err)
	}
	refused := errors.New("no")
	if _, err := c.Update(ctx, testTenant, "a", func(v *thing) error { v.Tags["k"] = "changed"; return refused }); !errors.Is(err, refused) {
		t.Errorf("a refused update: %v", err)
	}
	if err := c.Delete(ctx, testTenant, odd); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"false true", "false true", "false true", "false true", "true true", "true false"}, log); diff != "" {
		t.Errorf("changes told (-want +got):\n%s", diff)
	}

	for name, c := range map[string]*Catalog[thing]{"the same": c, "opened again": openThings(t, js)} {
		if got, ok := c.Get(testTenant, "a"); !ok || got.Count != 7 || got.Tags["k"] != "v" {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
		if _, ok := c.Get(testTenant, odd); ok {
			t.Errorf("%s: a deleted one is there", name)
		}
		if all, own := c.All(), c.List(testTenant); len(all) != 3 || len(own) != 2 || own[0].Label != "a" || all[2].Label != "another's" {
			t.Errorf("%s: %d in all, %d of the tenant", name, len(all), len(own))
		}
	}
	if _, err := c.Update(ctx, testTenant, "none", func(*thing) error { return nil }); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("update of none: %v", err)
	}
	if err := c.Delete(ctx, testTenant, "none"); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("delete of none: %v", err)
	}
	for _, name := range []string{"", strings.Repeat("n", maxNameBytes+1)} {
		if err := c.Create(ctx, testTenant, name, &thing{}); millicent.ErrorCode(err) != millicent.CodeInvalid {
			t.Errorf("a name of %d bytes: %v", len(name), err)
		}
	}
	if err := c.Create(ctx, testTenant, "large", &thing{Label: strings.Repeat("x", MaxDefinition)}); millicent.ErrorCode(err) != millicent.CodeInvalid {
		t.Errorf("too large: %v", err)
	}
}

// TestCatalogUpdatesAtOnce: none of many updates, of two nodes, is lost.
func TestCatalogUpdatesAtOnce(t *testing.T) {
	js := newJetStream(t)
	nodes := []*Catalog[thing]{openThings(t, js), openThings(t, js)}
	if err := nodes[0].Create(t.Context(), testTenant, "a", &thing{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const each = 20
	for i := range 4 {
		wg.Go(func() {
			for range each {
				for {
					_, err := nodes[i%2].Update(t.Context(), testTenant, "a", func(v *thing) error { v.Count++; return nil })
					if millicent.ErrorCode(err) == millicent.CodeNotFound {
						continue // the other node has not heard of it yet
					}
					if err != nil {
						t.Error(err)
					}
					break
				}
			}
		})
	}
	wg.Wait()
	got, err := nodes[1].Update(t.Context(), testTenant, "a", func(*thing) error { return nil })
	if err != nil || got.Count != 4*each {
		t.Errorf("got %+v, %v; want a count of %d", got, err, 4*each)
	}
}

func FuzzCatalogValue(f *testing.F) {
	good, err := encodeDefinition(testTenant, "a", &thing{Label: "l"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("000000000000.a", good)
	f.Add("x", []byte(`{"format":2}`))
	f.Add("000000000000.a", []byte(`{"format":1,"tenant":"000000000000","name":"b","value":{}}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		c := &Catalog[thing]{items: map[string]*definition[thing]{}}
		if value == nil {
			value = []byte{}
		}
		if err := c.apply(entry{key: key, value: value, revision: 1}); err != nil {
			if len(c.items) != 0 {
				t.Error("a refused value is kept")
			}
			return
		}
		if d := c.items[key]; d == nil || definitionKey(d.Tenant, d.Name) != key || d.Value == nil {
			t.Errorf("%q holds %+v", key, d)
		}
	})
}
