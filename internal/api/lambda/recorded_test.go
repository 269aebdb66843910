package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A recording is an error answer recorded from AWS.
type recording struct {
	code    string
	status  int
	message string            // with placeholders
	extra   map[string]string // members beside the message
	key     string            // member of the message; - when it was not seen
}

func recordings(t *testing.T) []recording {
	data, err := os.ReadFile("testdata/recorded-errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var all []recording
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		f := strings.Split(line, "\t")
		r := recording{code: f[0], key: f[4]}
		for dst, text := range map[any]string{&r.status: f[1], &r.message: f[2], &r.extra: f[3]} {
			if err := json.Unmarshal([]byte(text), dst); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		all = append(all, r)
	}
	return all
}

// name is what a row of the tables below begins with; it ends in NUL, so that
// a row can give it whole.
func (r recording) name() string { return r.code + ": " + r.message + "\x00" }

// A reproduction is the request that AWS was sent, or one like it.
type reproduction struct {
	recorded     string   // beginning of the recording's name; exactly one has it
	fill         []string // placeholders and their values
	method, path string
	body         any
	header       []string

	err error // instead of a request: the state it takes lasts too short
}

var longRun = regexp.MustCompile(`x{64,}`)

// check sends the request and compares the answer with the recording.
func (c reproduction) check(t *testing.T, p *platform, r recording) {
	p.t = t
	var a answer
	if c.err != nil {
		a.status, a.header, a.body = Answer(c.err)
	} else {
		a = p.call(c.method, c.path, c.body, c.header...)
	}
	fill := append(c.fill,
		"<partition>", "aws", "<region>", testRegion, "<min_unreserved_concurrency>", strconv.Itoa(minUnreserved))
	want := map[string]any{}
	for k, v := range r.extra {
		want[k] = v
	}
	key := r.key
	if key == "-" {
		ex, _ := ExceptionOf(r.code)
		key = ex.Message
	}
	want[key] = strings.NewReplacer(fill...).Replace(r.message)
	if r.message == "" {
		want[key] = nil
	}
	got := a.object(t)
	if text, ok := got[key].(string); ok {
		got[key] = longRun.ReplaceAllString(text, "xxx...")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if a.status != r.status || a.header.Get("X-Amzn-Errortype") != r.code {
		t.Errorf("status %d and type %s, want %d and %s", a.status, a.header.Get("X-Amzn-Errortype"), r.status, r.code)
	}
}

// TestRecordedErrors sends what AWS was sent and expects what AWS was recorded
// to answer. Every recording is either reproduced or listed with the reason
// why it is not.
func TestRecordedErrors(t *testing.T) {
	all := recordings(t)
	p := recordedPlatform(t)
	covered := map[string]bool{}
	for _, c := range reproductions(p) {
		r := find(t, all, c.recorded)
		covered[r.name()] = true
		t.Run(strings.ReplaceAll(shorten(c.recorded), "/", "|"), func(t *testing.T) { c.check(t, p, r) })
	}
	for _, beginning := range []string{"RequestEntityTooLargeException: Request", "RequestEntityTooLargeException: Zipped"} {
		covered[find(t, all, beginning).name()] = true // TestTooLarge
	}
	excused := map[string]bool{}
	for reason, beginnings := range notReproduced {
		for _, b := range beginnings {
			r := find(t, all, b)
			excused[r.name()] = true
			if covered[r.name()] {
				t.Errorf("reproduced, and excused by %q: %s", reason, r.name())
			}
		}
	}
	for _, r := range all {
		if !covered[r.name()] && !excused[r.name()] {
			t.Errorf("neither reproduced nor excused: %s", r.name())
		}
	}
	t.Logf("%d of %d recorded errors are reproduced to the letter; %d belong to what is not built", len(covered), len(all), len(excused))
}

func find(t *testing.T, all []recording, beginning string) recording {
	t.Helper()
	var found []recording
	for _, r := range all {
		if strings.HasPrefix(r.name(), beginning) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d recordings begin with %q", len(found), beginning)
	}
	return found[0]
}

func shorten(s string) string { return s[:min(len(s), 100)] }

// TestTooLarge covers the two recordings about the size of a request.
func TestTooLarge(t *testing.T) {
	all := recordings(t)
	p := newPlatform(t, nil)
	send := func(size int64, body string) answer {
		r := httptest.NewRequest("POST", functionsPath, strings.NewReader(body))
		r.ContentLength = size
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.Bytes()}
	}
	request, err := json.Marshal(with(createRequest("large"), M{
		"Code": M{"ZipFile": base64.StdEncoding.EncodeToString(make([]byte, maxZipped+1))},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for beginning, a := range map[string]answer{
		"RequestEntityTooLargeException: Request must": send(maxCodeBody+1, ""),
		"RequestEntityTooLargeException: Zipped size":  send(int64(len(request)), string(request)),
	} {
		r := find(t, all, beginning)
		if got := a.object(t); a.status != r.status || got["message"] != r.message || len(got) != 1 {
			t.Errorf("status %d, body %v; want %d, %q", a.status, got, r.status, r.message)
		}
	}
	// A length that is not announced is measured.
	a := send(-1, strings.Repeat(" ", maxCodeBody+1))
	if a.status != 413 {
		t.Errorf("status %d of an unannounced length, want 413", a.status)
	}
}
