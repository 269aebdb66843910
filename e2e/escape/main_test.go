package escape

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// serverSecret is in the environment of the server and nowhere else.
const serverSecret = "the-servers-own-secret"

// shared is the server that most attacks are run against, started by the
// first of them and stopped when all is over.
var shared struct {
	once   sync.Once
	server *millicenttest.Server
	err    error
}

func TestMain(m *testing.M) {
	os.Exit(millicenttest.Main(m, "../../cmd/millicent", func() error {
		if shared.server == nil {
			return nil
		}
		return shared.server.Stop()
	}))
}

//go:embed testdata/attacker.py
var attackerPython string

//go:embed testdata/bombs.py
var bombsPython string

// native is the zip of the native attacker.
var native struct {
	once sync.Once
	zip  []byte
}

// victimCode answers with its event's nonce. Its secrets are what attackers
// are after.
const (
	victimCode = `
# VICTIM-CODE-SECRET
import os
def handler(event, context):
    print("line of", event["nonce"])
    return {"nonce": event["nonce"], "files": sorted(os.listdir("/tmp"))}
`
	victimSecret = "VICTIM-ENVIRONMENT-SECRET"

	// victimTimeout is what an answer may take. Most machines take a
	// hundredth of it, but one with all its cores under attack may not.
	victimTimeout = 20
)

// An arena is a server with a victim and what it held of the machine before.
type arena struct {
	*millicenttest.Server
	t      *testing.T
	base   millicenttest.Footprint
	victim string
}

// open returns an arena on the shared server.
func open(t *testing.T) *arena {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: sandboxes with limits")
	}
	shared.once.Do(func() {
		shared.server, shared.err = millicenttest.Start(millicenttest.Config{
			Env: []string{"MILLICENT_TEST_SECRET=" + serverSecret, "AWS_SECRET_ACCESS_KEY=" + serverSecret},
		})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return newArena(t, shared.server)
}

// newArena makes the victim. When the test is over, and its functions are
// deleted, the server has to hold what it held before.
func newArena(t *testing.T, s *millicenttest.Server) *arena {
	t.Helper()
	a := &arena{Server: s, t: t, base: s.Footprint(t), victim: name(t, "victim")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server's log:\n%s", millicenttest.Tail(s.Log(), 30))
		}
		s.Settle(t, a.base, time.Minute)
	})
	s.Create(t, &lambda.CreateFunctionInput{
		FunctionName: &a.victim, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
		MemorySize: aws.Int32(512), Timeout: aws.Int32(victimTimeout),
		Code:        &types.FunctionCode{ZipFile: millicenttest.Zip(t, map[string]string{"app.py": victimCode})},
		Environment: &types.Environment{Variables: map[string]string{"SECRET": victimSecret}},
	})
	a.ask(0)
	return a
}

// name returns a function's name for a test.
func name(t *testing.T, what string) string {
	return strings.NewReplacer("/", "-", " ", "-", ".", "-", "+", "-").Replace(t.Name()) + "-" + what
}

// ask invokes the victim once.
func (a *arena) ask(n int) {
	a.t.Helper()
	event := fmt.Sprintf(`{"nonce":"%s-%d"}`, a.victim, n)
	got, err := a.TryInvoke(a.t, a.victim, event)
	want := fmt.Sprintf(`{"nonce": "%s-%d", "files": []}`, a.victim, n)
	if err != nil || got.Error != "" || got.Payload != want {
		a.t.Errorf("the victim answered %+v (%v), want %s", got, err, want)
	}
}

// during runs an attack, and invokes the victim meanwhile.
// It returns how often.
func (a *arena) during(attack func()) (asked int) {
	a.t.Helper()
	over := make(chan struct{})
	var victim sync.WaitGroup
	var times int
	victim.Go(func() {
		var slowest time.Duration
		for n := 1; ; n++ {
			begin := time.Now()
			a.ask(n)
			slowest = max(slowest, time.Since(begin))
			select {
			case <-over:
				a.t.Logf("the victim answered %d times, in %v at most", n, slowest.Round(time.Millisecond))
				times = n
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	defer func() { // also when the attack gives up
		close(over)
		victim.Wait()
		asked = times
	}()
	attack()
	return 0 // the deferred call knows
}

// attacker makes the native attacker; change may give it other settings.
func (a *arena) attacker(change func(*lambda.CreateFunctionInput)) string {
	a.t.Helper()
	native.once.Do(func() { native.zip = millicenttest.GoPackage(a.t, "./testdata/attacker") })
	return a.make("native", &lambda.CreateFunctionInput{
		Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: native.zip},
	}, change)
}

// python makes a Python attacker.
func (a *arena) python(handler string, change func(*lambda.CreateFunctionInput)) string {
	a.t.Helper()
	return a.make("python", &lambda.CreateFunctionInput{
		Runtime: types.RuntimePython311, Handler: &handler,
		Code: &types.FunctionCode{ZipFile: millicenttest.Zip(a.t, map[string]string{
			"attacker.py": attackerPython, "bombs.py": bombsPython,
		})},
	}, change)
}

func (a *arena) make(what string, in *lambda.CreateFunctionInput, change func(*lambda.CreateFunctionInput)) string {
	a.t.Helper()
	in.FunctionName = aws.String(name(a.t, what))
	in.Timeout, in.MemorySize = aws.Int32(60), aws.Int32(512)
	if change != nil {
		change(in)
	}
	a.Create(a.t, in)
	return *in.FunctionName
}

// A language is one that attackers are written in.
type language struct {
	name string
	make func(a *arena) string // the function that tries operations
}

var languages = []language{
	{"native", func(a *arena) string { return a.attacker(nil) }},
	{"python", func(a *arena) string { return a.python("attacker.handler", nil) }},
}

// An attempt is an operation for both attackers to try; see the attackers for
// what there is.
type attempt struct {
	Op   string  `json:"op"`
	Arg  string  `json:"arg"`
	To   string  `json:"to"`
	Nr   uintptr `json:"nr"`
	Args []any   `json:"args,omitempty"`

	name string // where Arg does not say it
	want string // the exact answer; alternatives are separated by " or ", and "…" stands for anything before or after
}

func (o attempt) String() string {
	if o.name != "" {
		return o.name
	}
	return strings.TrimSpace(o.Op + " " + o.Arg + " " + o.To)
}

// met reports whether an answer is what is wanted.
func (o attempt) met(got string) bool {
	got = strings.TrimSpace(got)
	for want := range strings.SplitSeq(o.want, " or ") {
		prefix, more := strings.CutSuffix(want, "…")
		suffix, before := strings.CutPrefix(want, "…")
		if got == want || more && strings.HasPrefix(got, prefix) || before && strings.HasSuffix(got, suffix) {
			return true
		}
	}
	return false
}

// tryAll has an attacker in each language try all that there is to try in an
// arena, while the victim works.
func tryAll(t *testing.T, attempts func(*arena) []attempt) {
	t.Helper()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			a := open(t)
			a.try(l, attempts)
		})
	}
}

// try has an attacker try all, while the victim works.
func (a *arena) try(l language, attempts func(*arena) []attempt) {
	a.t.Helper()
	fn := l.make(a)
	a.during(func() { a.tryAs(fn, attempts(a)) })
}

// tryAs has one attacker try all.
func (a *arena) tryAs(fn string, attempts []attempt) {
	a.t.Helper()
	event, err := json.Marshal(map[string]any{"do": "ops", "ops": attempts})
	if err != nil {
		a.t.Fatal(err)
	}
	answer := a.Invoke(a.t, fn, string(event))
	var got []string
	if err := json.Unmarshal([]byte(answer.Payload), &got); err != nil || answer.Error != "" || len(got) != len(attempts) {
		a.t.Fatalf("%d of %d results: %+v (%v)", len(got), len(attempts), answer, err)
	}
	for i, o := range attempts {
		if !o.met(got[i]) {
			a.t.Errorf("%s: got %q, want %q", o, got[i], o.want)
		}
		for _, secret := range []string{serverSecret, victimSecret, "VICTIM-CODE-SECRET"} {
			if strings.Contains(got[i], secret) {
				a.t.Errorf("%s shows a secret: %s", o, got[i])
			}
		}
	}
}

// do has an attacker do a deed, and reads its answer into an any.
func (a *arena) do(fn string, event map[string]any, into any) {
	a.t.Helper()
	answer := a.call(fn, event)
	if err := json.Unmarshal([]byte(answer.Payload), into); err != nil || answer.Error != "" {
		a.t.Fatalf("%v: %+v (%v)", event, answer, err)
	}
}

// call has an attacker do a deed, and returns the answer as it is.
func (a *arena) call(fn string, event map[string]any) millicenttest.Answer {
	a.t.Helper()
	b, err := json.Marshal(event)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.Invoke(a.t, fn, string(b))
}
