package e2e

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// billBook has no free quantities, so that a test's few calls cost something.
const billBook = `
format: 1
name: test
version: 1
currency: EUR
prices: {request: 0.0000002, gb_second: 0.0000166667, init_gb_second: 0.0000111111, cpu_second: 0.0000033333}
`

// An invoice as the command prints it, as far as the test looks at it.
type invoice struct {
	ID, Tenant, Currency string
	Charged, Total       string
	Sections             []struct {
		Book     string
		Receipts int
		Lines    []struct {
			Item     string
			Quantity int64
		}
	}
	Functions []struct {
		Name     string
		Requests int
	}
}

// quantity returns how much of some items an invoice has.
func (inv *invoice) quantity(items ...string) (n int64) {
	for _, s := range inv.Sections {
		for _, l := range s.Lines {
			for _, item := range items {
				if l.Item == item {
					n += l.Quantity
				}
			}
		}
	}
	return n
}

var billedLine = regexp.MustCompile(`Billed Duration: (\d+) ms`)

// spend calls a function n times and returns the billed milliseconds of all
// calls, as their reports say.
func (s *server) spend(name string, n int) (billed int64) {
	s.t.Helper()
	client := s.sdk()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range n / 4 {
				out, err := client.Invoke(s.t.Context(), &lambda.InvokeInput{FunctionName: aws.String(name), Payload: []byte("{}"), LogType: types.LogTypeTail})
				if err != nil {
					s.t.Error(err)
					return
				}
				tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
				m := billedLine.FindSubmatch(tail)
				if err != nil || m == nil {
					s.t.Errorf("no report in %s", tail)
					return
				}
				ms, _ := strconv.ParseInt(string(m[1]), 10, 64)
				mu.Lock()
				billed += ms
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return billed
}

// inOneMonth waits where a month is about to end, so that what is done within
// the next minutes is on one bill and of one budget.
func inOneMonth(t *testing.T) {
	now := time.Now().UTC()
	if next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC); next.Sub(now) < 3*time.Minute {
		t.Logf("waits for %v", next)
		time.Sleep(time.Until(next) + time.Second)
	}
}

// invoice returns this month's invoice.
func (s *server) invoice(args ...string) (inv invoice) {
	s.t.Helper()
	out := s.mustCLI(append([]string{"invoice", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &inv); err != nil {
		s.t.Fatalf("%v in %s", err, out)
	}
	return inv
}

// Two tenants' calls are on two bills, each for what the calls' reports say;
// and the bills are the same after the sums were lost and made again.
func TestBill(t *testing.T) {
	inOneMonth(t)
	book := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(book, []byte(billBook), 0o600); err != nil {
		t.Fatal(err)
	}
	s := up(t, "--auth", "sigv4", "--prices", book)
	tenants := []string{"000000000000", "222222222222"}
	const calls, memory = 120, 256
	keys, billed, before := map[string][2]string{}, map[string]int64{}, map[string]invoice{}
	as := func(tenant string) { s.keyID, s.keySecret = keys[tenant][0], keys[tenant][1] }
	for n, tenant := range tenants {
		s.withKeyOf(t, tenant)
		keys[tenant] = [2]string{s.keyID, s.keySecret}
		s.create(&lambda.CreateFunctionInput{
			FunctionName: aws.String("paid"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
			MemorySize: aws.Int32(memory), Tags: map[string]string{"team": "team" + strconv.Itoa(n)},
			Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": "def handler(event, context): return sum(range(20000))"})},
		})
		billed[tenant] = s.spend("paid", calls*(n+1))
	}
	check := func(when string) {
		t.Helper()
		for n, tenant := range tenants {
			as(tenant)
			inv := s.invoice()
			if inv.Tenant != tenant || inv.Currency != "EUR" || len(inv.Sections) != 1 || inv.Sections[0].Book != "test@1" || inv.Charged != inv.Total {
				t.Errorf("%s: got %+v", when, inv)
			}
			if got, want := inv.quantity("request"), int64(calls*(n+1)); got != want {
				t.Errorf("%s: %s is billed %d requests, of %d", when, tenant, got, want)
			}
			if got, want := inv.quantity("gb_second", "init_gb_second"), billed[tenant]*memory; got != want {
				t.Errorf("%s: %s is billed %d MB-ms, the reports say %d", when, tenant, got, want)
			}
			if b, ok := before[tenant]; ok && b.Total != inv.Total {
				t.Errorf("%s: %s pays %s, before %s", when, tenant, inv.Total, b.Total)
			}
			before[tenant] = inv
		}
	}
	check("at once")
	s.stop()
	if err := os.RemoveAll(filepath.Join(s.data, "ledger")); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"--auth", "sigv4"} // the default book from now on: what was used is at the old prices
	s.start()
	check("made again")
	s.checkBillOutputs(t, before[tenants[1]], tenants)
}

// checkBillOutputs looks at the other forms of the second tenant's bill, whose
// key signs.
func (s *server) checkBillOutputs(t *testing.T, inv invoice, tenants []string) {
	t.Helper()
	for args, want := range map[string]string{
		"bill":                        "paid",
		"bill --by tag:team":          "team1",
		"bill --by day":               inv.Total + " EUR",
		"bill --book default":         "PRICES",
		"bill --book hardware --json": `"book": "hardware@1"`,
		"invoice":                     "<td class=\"n\">" + inv.Total + " EUR</td>",
		"rightsize paid":              "256 MB",
		"rightsize --json":            `"serverCost": "2`,
		"prices":                      "default@1",
	} {
		if out := s.mustCLI(strings.Fields(args)...); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", args, want, out)
		}
	}
	for _, args := range []string{"invoice --format csv", "export focus"} {
		out := s.mustCLI(strings.Fields(args)...)
		rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || len(rows) < 4 {
			t.Errorf("%s: %v in\n%s", args, err, out)
		}
	}
	_, errOut, err := s.cli("bill", "--account", tenants[0])
	if err == nil || !strings.Contains(errOut, "AccessDenied") {
		t.Errorf("another tenant's bill: %v, %s", err, errOut)
	}
	all := s.mustCLI("--endpoint", "unix:"+filepath.Join(s.data, "admin.sock"), "bill", "--by", "tenant")
	for _, tenant := range tenants {
		if !strings.Contains(all, tenant) {
			t.Errorf("the operator's bill has no %s:\n%s", tenant, all)
		}
	}
}

// What the receipts of all calls charge, cold and warm, adds up to what the
// invoice does, to the last unit.
func TestReceiptsAddUp(t *testing.T) {
	inOneMonth(t)
	book := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(book, []byte(billBook), 0o600); err != nil {
		t.Fatal(err)
	}
	s := up(t, "--prices", book)
	s.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("paid"), Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), MemorySize: aws.Int32(333),
		Code: &types.FunctionCode{ZipFile: zipOf(t, map[string]string{"app.py": "def handler(event, context): return sum(range(20000))"})},
	})
	const calls = 60
	ids := make([]string, calls)
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := worker; i < calls; i += 3 {
				resp, err := http.Post(s.url()+"/2015-03-31/functions/paid/invocations", "application/json", strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				ids[i] = resp.Header.Get("X-Amzn-Requestid")
			}
		})
	}
	wg.Wait()
	sum := new(big.Rat)
	for _, id := range ids {
		status, body := s.get("/_millicent/receipts/" + id)
		var receipt struct {
			Charge struct{ Book, Total string }
		}
		if err := json.Unmarshal([]byte(body), &receipt); err != nil || receipt.Charge.Book != "test@1" {
			t.Fatalf("receipt %s: %d %s (%v)", id, status, body, err)
		}
		amount, ok := new(big.Rat).SetString(receipt.Charge.Total)
		if !ok || amount.Sign() <= 0 {
			t.Fatalf("receipt %s charges %q", id, receipt.Charge.Total)
		}
		sum.Add(sum, amount)
	}
	inv := s.invoice()
	charged, ok := new(big.Rat).SetString(inv.Charged)
	if !ok || charged.Cmp(sum) != 0 {
		t.Errorf("the invoice charges %s, the receipts %s", inv.Charged, sum.FloatString(12))
	}
	units := new(big.Rat).Mul(sum, big.NewRat(1e12, 1))
	if got := s.metric(`millicent_usage_charged_trillionths_total{tenant="000000000000"}`); units.Cmp(new(big.Rat).SetFloat64(got)) != 0 {
		t.Errorf("the counter says %.0f, the receipts %s", got, units.FloatString(0))
	}
	if out := s.mustCLI("receipt", ids[0]); !strings.Contains(out, "MB-ms ÷ 1024000 × 0.0000166667 per GB-second") {
		t.Errorf("no price in\n%s", out)
	}
}
