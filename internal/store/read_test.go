package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func TestResolve(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{Region: "eu-west-1"})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	for memory := range 2 {
		mustPublish(t, s, "hello")
		mustUpdate(t, s, "hello", func(f *millicent.Function) { f.Draft.MemoryMB = 200 + memory })
	}
	mustUpdate(t, s, "hello", func(f *millicent.Function) {
		f.Aliases = map[string]*millicent.Alias{
			"live":  {Name: "live", Version: "2"},
			"draft": {Name: "draft", Version: millicent.Latest},
			"split": {Name: "split", Version: "1", Weights: map[string]float64{"2": 0.25}},
			"gone":  {Name: "gone", Version: "17"},
		}
	})
	const arn = "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:"
	for _, tt := range []struct {
		name, qualifier string
		draw            float64
		want, message   string
	}{
		{name: "hello", qualifier: "", want: millicent.Latest},
		{name: "hello", qualifier: millicent.Latest, want: millicent.Latest},
		{name: "hello", qualifier: "1", want: "1"},
		{name: "hello", qualifier: "2", want: "2"},
		{name: "hello", qualifier: "live", want: "2"},
		{name: "hello", qualifier: "draft", want: millicent.Latest},
		{name: "hello", qualifier: "split", draw: 0.2, want: "2"},
		{name: "hello", qualifier: "split", draw: 0.25, want: "1"},
		{name: "hello", qualifier: "split", draw: 0.99, want: "1"},
		{name: "hello", qualifier: "3", message: arn + "hello:3"},
		{name: "hello", qualifier: "01", message: arn + "hello:01"},
		{name: "hello", qualifier: "nope", message: arn + "hello:nope"},
		{name: "hello", qualifier: "gone", message: arn + "hello:gone"},
		{name: "absent", qualifier: "", message: arn + "absent:$LATEST"},
		{name: "absent", qualifier: "1", message: arn + "absent:1"},
	} {
		t.Run(tt.name+":"+tt.qualifier, func(t *testing.T) {
			v, err := s.Resolve(testTenant, tt.name, tt.qualifier, tt.draw)
			if tt.message != "" {
				wantError(t, err, millicent.CodeNotFound, tt.message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v.Number != tt.want {
				t.Errorf("got version %s, want %s", v.Number, tt.want)
			}
		})
	}
	if _, err := s.Resolve("111111111111", "hello", "", 0); millicent.ErrorCode(err) != millicent.CodeNotFound {
		t.Errorf("another tenant's call resolved: %v", err)
	}
}

func TestResolveDoesNotAllocate(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	f := newFunction("hello", millicent.Package{})
	f.Published = []int{1}
	f.Aliases = map[string]*millicent.Alias{"live": {Name: "live", Version: "1", Weights: map[string]float64{"2": 0}}}
	mustCreate(t, s, f)
	got := testing.AllocsPerRun(100, func() {
		for _, q := range []string{"", "1", "live"} {
			if _, err := s.Resolve(testTenant, "hello", q, 0.5); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestVersionAndFunctionTexts(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	mustCreate(t, s, newFunction("hello", millicent.Package{}))
	const arn = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:"
	_, err := s.Function(testTenant, "absent")
	wantError(t, err, millicent.CodeNotFound, arn+"absent")
	_, err = s.Version(testTenant, "absent", "")
	wantError(t, err, millicent.CodeNotFound, arn+"absent")
	_, err = s.Version(testTenant, "absent", millicent.Latest)
	wantError(t, err, millicent.CodeNotFound, arn+"absent:$LATEST")
	_, err = s.Version(testTenant, "hello", "1")
	wantError(t, err, millicent.CodeNotFound, arn+"hello:1")
	_, _, err = s.FunctionByURL("nope")
	wantError(t, err, millicent.CodeNotFound, "The resource you requested does not exist.")
}

func TestFunctionsAreSorted(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	names := func() (names []string) {
		for _, f := range s.Functions(testTenant) {
			names = append(names, f.Name)
		}
		return names
	}
	for _, name := range []string{"b", "C", "a", "d"} {
		mustCreate(t, s, newFunction(name, millicent.Package{}))
	}
	if diff := cmp.Diff([]string{"C", "a", "b", "d"}, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	before := s.Functions(testTenant)
	if err := s.Delete(t.Context(), testTenant, "a"); err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, s, "d", func(f *millicent.Function) { f.Draft.MemoryMB = 999 })
	if diff := cmp.Diff([]string{"C", "b", "d"}, names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.Functions(testTenant)[2].Draft.MemoryMB; got != 999 {
		t.Errorf("the list shows %d MB", got)
	}
	if len(before) != 4 || before[1].Name != "a" {
		t.Error("a list that was handed out has changed")
	}
	if got := s.Functions("111111111111"); len(got) != 0 {
		t.Errorf("another tenant has %d functions", len(got))
	}
}

func TestFunctionByURL(t *testing.T) {
	s := mustOpen(t, newJetStream(t), Config{})
	f := newFunction("hello", millicent.Package{})
	f.URLs = map[string]*millicent.FunctionURL{"": {ID: "one"}, "live": {ID: "two", Qualifier: "live"}}
	mustCreate(t, s, f)
	for id, qualifier := range map[string]string{"one": "", "two": "live"} {
		f, u, err := s.FunctionByURL(id)
		if err != nil || f.Name != "hello" || u.Qualifier != qualifier {
			t.Errorf("%s: %v, %v, %v", id, f, u, err)
		}
	}
	mustUpdate(t, s, "hello", func(f *millicent.Function) {
		delete(f.URLs, "")
		f.URLs["live"].ID = "three"
	})
	for _, id := range []string{"one", "two"} {
		if _, _, err := s.FunctionByURL(id); millicent.ErrorCode(err) != millicent.CodeNotFound {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, u, err := s.FunctionByURL("three"); err != nil || u.Qualifier != "live" {
		t.Errorf("three: %v, %v", u, err)
	}
}
