package lambda

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent"
)

func provisionedPath(name, qualifier string) string {
	return "/2019-09-30/functions/" + name + "/provisioned-concurrency?Qualifier=" + qualifier
}

func provisioned(n int) M { return M{"ProvisionedConcurrentExecutions": n} }

func provisionedReproductions() []reproduction {
	put := func(recorded, name, qualifier string, n int, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: fill, method: "PUT", path: provisionedPath(name, qualifier), body: provisioned(n)}
	}
	get := func(recorded, name, qualifier string, fill ...string) reproduction {
		return reproduction{recorded: recorded, fill: fill, method: "GET", path: provisionedPath(name, qualifier)}
	}
	const alias = notFoundCode + "Cannot find alias arn: arn:<partition>:lambda:<region>:111111111111:function:"
	return []reproduction{
		put(oneError+"'0' at 'provisionedConcurrentExecutions'", "fn", "1", 0),
		put(invalidCode+"Provisioned Concurrency Configs cannot", "fn", "$LATEST", 1),
		put(invalidCode+"Requested Provisioned Concurrency", "prov", "1", 2),
		put(invalidCode+"Specified ConcurrentExecutions for function is greater", "fn", "1", 999, "<unreserved_concurrency>", "998"),
		put(invalidCode+"Specified ConcurrentExecutions for function decreases", "fn", "1", 899),
		put("ResourceConflictException: Alias can't be used for Provisioned", "prov", "other", 1),
		put("ResourceConflictException: Version is pointed by a Provisioned", "prov", "2", 1),
		put(alias+"<function-name:1>:doesnotexist", "fn", "doesnotexist", 1, "<function-name:1>", "fn"),
		put(alias+"doesnotexist:noalias", "doesnotexist", "noalias", 1),
		put(notFoundARN+"doesnotexist:1", "doesnotexist", "1", 1),
		get(invalidCode+"The function resource provided must be", "fn", "$LATEST"),
		get("ProvisionedConcurrencyConfigNotFoundException", "fn", "1"),
		get(alias+"<function-name:1>:<alias-name>", "fn", "gone", "<function-name:1>", "fn", "<alias-name>", "gone"),
		get(alias+"<function-name:1>:noalias", "fn", "noalias", "<function-name:1>", "fn"),
		{recorded: invalidCode + " ReservedConcurrentExecutions  1 should", method: "PUT", path: concurrencyPath("prov"), body: M{"ReservedConcurrentExecutions": 1}},
	}
}

// allocations are what a fake scheduler says, by version.
type allocations map[string]millicent.Allocation

func (a allocations) of(v *millicent.Version) millicent.Allocation { return a[v.Number] }

// provisionedPlatform has a function fn with versions 1 and 2 and an alias
// live of version 1, at a fixed time.
func provisionedPlatform(t *testing.T, a allocations) *platform {
	p := newPlatform(t, func(cfg *Config) {
		cfg.Allocation = a.of
		cfg.Now = func() time.Time { return time.Date(2026, 11, 23, 7, 0, 1, 234e6, time.FixedZone("", 3600)) }
	})
	p.create("fn")
	p.publish("fn", "first")
	p.publish("fn", "second")
	p.must(201, "POST", functionPath("fn", "/aliases"), M{"Name": "live", "FunctionVersion": "1"})
	return p
}

func TestProvisionedLifecycle(t *testing.T) {
	a := allocations{}
	p := provisionedPlatform(t, a)
	config := func(allocated, available float64, status, reason string) M {
		c := M{
			"RequestedProvisionedConcurrentExecutions": 2.0, "AllocatedProvisionedConcurrentExecutions": allocated,
			"AvailableProvisionedConcurrentExecutions": available, "Status": status, "LastModified": "2026-11-23T06:00:01+0000",
		}
		if reason != "" {
			c["StatusReason"] = reason
		}
		return c
	}
	path := provisionedPath("fn", "live")
	if diff := cmp.Diff(config(0, 0, "IN_PROGRESS", ""), p.must(202, "PUT", path, provisioned(2))); diff != "" {
		t.Errorf("put (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		one  millicent.Allocation
		want M
	}{
		{millicent.Allocation{}, config(0, 0, "IN_PROGRESS", "")},
		{millicent.Allocation{Allocated: 2, Available: 1}, config(2, 1, "IN_PROGRESS", "")},
		{millicent.Allocation{Allocated: 1, Available: 1, Waiting: "No room."}, config(1, 1, "IN_PROGRESS", "No room.")},
		{millicent.Allocation{Failure: millicent.ReasonInitFailed}, config(0, 0, "FAILED", "FUNCTION_ERROR_INIT_FAILURE")},
		{millicent.Allocation{Allocated: 3, Available: 3, Failure: "of one too many"}, config(2, 2, "READY", "")},
	} {
		a["1"] = c.one
		if diff := cmp.Diff(c.want, p.must(200, "GET", path, nil)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.one, diff)
		}
	}
	if diff := cmp.Diff(config(2, 2, "IN_PROGRESS", ""), p.must(202, "PUT", path, provisioned(2))); diff != "" {
		t.Errorf("put again (-want +got):\n%s", diff)
	}
	item := config(2, 2, "READY", "")
	item["FunctionArn"] = arnOf("fn") + ":live"
	list := provisionedPath("fn", "") + "&List=ALL"
	if diff := cmp.Diff(M{"ProvisionedConcurrencyConfigs": []any{item}}, p.must(200, "GET", list, nil)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	p.must(204, "DELETE", path, nil)
	p.must(204, "DELETE", path, nil)
	p.must(404, "GET", path, nil)
	if diff := cmp.Diff(M{"ProvisionedConcurrencyConfigs": []any{}}, p.must(200, "GET", list, nil)); diff != "" {
		t.Errorf("list of none (-want +got):\n%s", diff)
	}
	p.must(404, "GET", provisionedPath("gone", "")+"&List=ALL", nil)
	p.must(400, "DELETE", provisionedPath("fn", "$LATEST"), nil)
	p.must(404, "DELETE", provisionedPath("fn", "10"), nil)
}

func TestProvisionedGoesWithWhatItIsFor(t *testing.T) {
	p := provisionedPlatform(t, nil)
	p.must(202, "PUT", provisionedPath("fn", "live"), provisioned(2))
	p.must(202, "PUT", provisionedPath("fn", "2"), provisioned(1))
	p.must(204, "DELETE", functionPath("fn", "/aliases/live"), nil)
	p.must(204, "DELETE", functionPath("fn", "?Qualifier=2"), nil)
	f, err := p.store.Function(testTenant, "fn")
	if err != nil || len(f.Provisioned) != 0 {
		t.Errorf("left: %v, %v", f.Provisioned, err)
	}
}

func TestProvisionedCountsAgainstTheAccount(t *testing.T) {
	p := provisionedPlatform(t, nil)
	unreserved := func() any {
		return p.must(200, "GET", "/2016-08-19/account-settings/", nil)["AccountLimit"].(M)["UnreservedConcurrentExecutions"]
	}
	p.must(202, "PUT", provisionedPath("fn", "live"), provisioned(900))
	if got := unreserved(); got != 100.0 {
		t.Errorf("with 900 provisioned %v are unreserved", got)
	}
	p.must(202, "PUT", provisionedPath("fn", "live"), provisioned(5))
	p.must(200, "PUT", concurrencyPath("fn"), M{"ReservedConcurrentExecutions": 7})
	if got := unreserved(); got != 993.0 {
		t.Errorf("with 5 provisioned of 7 reserved %v are unreserved", got)
	}
	p.must(202, "PUT", provisionedPath("fn", "2"), provisioned(2))
	p.must(400, "PUT", provisionedPath("fn", "2"), provisioned(3))
}

func TestProvisionedAliasMovesWhenItsEnvironmentsAreThere(t *testing.T) {
	a := allocations{"1": {Allocated: 2, Available: 2}}
	p := provisionedPlatform(t, a)
	p.must(202, "PUT", provisionedPath("fn", "live"), provisioned(2))
	alias := functionPath("fn", "/aliases/live")
	moved := p.must(200, "PUT", alias, M{"FunctionVersion": "2"})
	if diff := cmp.Diff(M{"AdditionalVersionWeights": M{"1": 1.0}}, moved["RoutingConfig"]); diff != "" || moved["FunctionVersion"] != "2" {
		t.Errorf("it names %v, routing (-want +got):\n%s", moved["FunctionVersion"], diff)
	}
	if got := p.must(200, "GET", provisionedPath("fn", "live"), nil); got["Status"] != "IN_PROGRESS" || got["AvailableProvisionedConcurrentExecutions"] != 0.0 {
		t.Errorf("on its way: %v", got)
	}
	refused := p.must(400, "PUT", provisionedPath("fn", "live"), provisioned(3))
	if refused["message"] != "Alias with weights can not be used with Provisioned Concurrency" {
		t.Errorf("got %v", refused)
	}
	// What the caller says of the routing goes.
	now := p.must(200, "PUT", alias, M{"FunctionVersion": "2", "RoutingConfig": M{}})
	if now["RoutingConfig"] != nil {
		t.Errorf("routing %v", now["RoutingConfig"])
	}
	// Without provisioned concurrency there is nothing to wait for.
	p.must(200, "PUT", alias, M{"FunctionVersion": "1"})
	p.must(204, "DELETE", provisionedPath("fn", "live"), nil)
	if got := p.must(200, "GET", alias, nil); got["RoutingConfig"] != nil || got["FunctionVersion"] != "1" {
		t.Errorf("after the configuration was deleted: %v", got)
	}
}

func TestWeightedAliasSharesItsProvisionedEnvironments(t *testing.T) {
	a := allocations{"1": {Allocated: 8, Available: 8}, "2": {Allocated: 2, Available: 1}}
	p := provisionedPlatform(t, a)
	p.must(202, "PUT", provisionedPath("fn", "live"), provisioned(10))
	p.must(200, "PUT", functionPath("fn", "/aliases/live"), M{"RoutingConfig": M{"AdditionalVersionWeights": M{"2": 0.2}}})
	got := p.must(200, "GET", provisionedPath("fn", "live"), nil)
	if got["Status"] != "IN_PROGRESS" || got["AllocatedProvisionedConcurrentExecutions"] != 10.0 || got["AvailableProvisionedConcurrentExecutions"] != 9.0 {
		t.Errorf("got %v", got)
	}
	p.must(409, "PUT", provisionedPath("fn", "2"), provisioned(1))
}

func TestWhatCannotBeProvisioned(t *testing.T) {
	p := provisionedPlatform(t, nil)
	p.must(202, "PUT", provisionedPath("fn", "live"), provisioned(1))
	alias := functionPath("fn", "/aliases/live")
	if got := p.must(400, "PUT", alias, M{"FunctionVersion": "$LATEST"}); got["message"] != errUnpublished {
		t.Errorf("alias of the draft: %v", got)
	}
	p.must(202, "PUT", provisionedPath("fn", "2"), provisioned(1))
	if got := p.must(409, "PUT", alias, M{"FunctionVersion": "2"}); !strings.Contains(got["message"].(string), "already Provisioned version") {
		t.Errorf("alias of a provisioned version: %v", got)
	}
	p.must(200, "PUT", functionPath("fn", "/configuration"), M{"SnapStart": M{"ApplyOn": "PublishedVersions"}})
	p.settled("fn")
	p.must(201, "POST", functionPath("fn", "/versions"), M{})
	p.settledVersion("fn", "3")
	if got := p.must(400, "PUT", provisionedPath("fn", "3"), provisioned(1)); !strings.Contains(got["message"].(string), "SnapStart") {
		t.Errorf("version with SnapStart: %v", got)
	}
}
