package billing

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/millicent-run/millicent"
)

// What follows up to TestFOCUS is a validator of datasets, written from the
// public specification of FOCUS 1.2 (https://focus.finops.org): its columns,
// their feature levels, types, formats, allowed values and rules about nulls,
// as far as rows without commitments, reservations, sub-accounts, negotiated
// prices and corrections can break them.

// Types of columns.
const (
	textual = iota
	decimal
	instant
	keyValue
)

// A rule says what a column is.
type rule struct {
	kind      int
	mandatory bool
	null      func(row focusRow) nullness
	values    []string // that are allowed; nil for any
}

// nullness is whether a value may, must or must not be null.
type nullness int

const (
	mayBeNull nullness = iota
	mustBeNull
	mustNotBeNull
)

func never(focusRow) nullness    { return mustNotBeNull }
func always(focusRow) nullness   { return mustBeNull } // of what no row here may have
func optional(focusRow) nullness { return mayBeNull }

// ofUsage is the rule of prices and SKUs: not null of usage, null of taxes.
func ofUsage(row focusRow) nullness {
	switch row["ChargeCategory"] {
	case "Usage", "Purchase":
		return mustNotBeNull
	case "Tax":
		return mustBeNull
	}
	return mayBeNull
}

// consumed is the rule of consumption: of usage only.
func consumed(row focusRow) nullness {
	if row["ChargeCategory"] == "Usage" {
		return mustNotBeNull
	}
	return mustBeNull
}

// as returns the rule of columns that are null when another is.
func as(column string) func(focusRow) nullness {
	return func(row focusRow) nullness {
		if row[column] == "" {
			return mustBeNull
		}
		return mustNotBeNull
	}
}

var subcategories = map[string][]string{
	"Compute":     {"Containers", "End User Computing", "Quantum Compute", "Serverless Compute", "Virtual Machines", "Other (Compute)"},
	"Integration": {"API Management", "Messaging", "Workflow Orchestration", "Other (Integration)"},
	"Storage":     {"Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms", "Other (Storage)"},
}

var focusRules = map[string]rule{
	"BilledCost":         {decimal, true, never, nil},
	"BillingAccountId":   {textual, true, never, nil},
	"BillingAccountName": {textual, true, optional, nil},
	"BillingAccountType": {textual, true, as("BillingAccountId"), nil},
	"BillingCurrency":    {textual, true, never, nil},
	"BillingPeriodEnd":   {instant, true, never, nil},
	"BillingPeriodStart": {instant, true, never, nil},
	"ChargeCategory":     {textual, true, never, []string{"Usage", "Purchase", "Tax", "Credit", "Adjustment"}},
	"ChargeClass":        {textual, true, always, []string{"Correction"}},
	"ChargeDescription":  {textual, true, never, nil},
	"ChargeFrequency":    {textual, false, never, []string{"One-Time", "Recurring", "Usage-Based"}},
	"ChargePeriodEnd":    {instant, true, never, nil},
	"ChargePeriodStart":  {instant, true, never, nil},
	"ConsumedQuantity":   {decimal, true, consumed, nil}, // usage is measured
	"ConsumedUnit":       {textual, true, as("ConsumedQuantity"), nil},
	"ContractedCost":     {decimal, true, never, nil},
	"EffectiveCost":      {decimal, true, never, nil},
	"InvoiceId":          {textual, false, optional, nil},
	"InvoiceIssuerName":  {textual, true, never, nil},
	"ListCost":           {decimal, true, never, nil},
	"ListUnitPrice":      {decimal, true, ofUsage, nil}, // there is a price list
	"PricingCategory":    {textual, false, ofUsage, []string{"Standard", "Committed", "Dynamic", "Other"}},
	"PricingQuantity":    {decimal, true, ofUsage, nil},
	"PricingUnit":        {textual, true, as("PricingQuantity"), nil},
	"ProviderName":       {textual, true, never, nil},
	"PublisherName":      {textual, true, never, nil},
	"RegionId":           {textual, true, optional, nil}, // there are regions
	"RegionName":         {textual, true, as("RegionId"), nil},
	"ResourceId":         {textual, true, optional, nil},
	"ResourceName":       {textual, true, optional, nil},
	"ResourceType":       {textual, true, as("ResourceId"), nil},
	"ServiceCategory":    {textual, true, never, []string{"Compute", "Integration", "Storage"}}, // of 19, those that are ours
	"ServiceName":        {textual, true, never, nil},
	"ServiceSubcategory": {textual, false, never, slices.Concat(subcategories["Compute"], subcategories["Integration"], subcategories["Storage"])},
	"SkuId":              {textual, true, ofUsage, nil},
	"SkuMeter":           {textual, true, as("SkuId"), nil},
	"SkuPriceDetails":    {keyValue, true, optional, nil},
	"SkuPriceId":         {textual, true, ofUsage, nil},
	"Tags":               {keyValue, true, optional, nil}, // there are tags
}

var (
	decimalForm  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)
	unitForm     = regexp.MustCompile(`^([0-9]+ )?((K|M|G|T|P|E)?i?B|[A-Z][a-z]+)(-(Seconds|Months|Hours|Days))?$`)
)

// validate returns what is wrong with a dataset, sorted.
func validate(head []string, rows []focusRow) []string {
	var problems []string
	tell := func(n int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("row %d: ", n)+fmt.Sprintf(format, args...))
	}
	for name, r := range focusRules {
		if r.mandatory && !slices.Contains(head, name) {
			tell(0, "%s is missing", name)
		}
	}
	for i, name := range head {
		if _, known := focusRules[name]; !known && !strings.HasPrefix(name, "x_") || slices.Index(head, name) != i {
			tell(0, "%s is no column, or twice", name)
		}
	}
	one := map[string]string{} // of a pair of columns: the one value that goes with another
	for n, row := range rows {
		for name, r := range focusRules {
			checkValue(row, name, r, func(format string, args ...any) { tell(n+1, name+": "+format, args...) })
		}
		checkRow(row, func(format string, args ...any) { tell(n+1, format, args...) })
		for _, pair := range [][2]string{{"SkuPriceId", "SkuId"}, {"ServiceName", "ServiceCategory"}, {"ServiceName", "ServiceSubcategory"}, {"InvoiceId", "BillingAccountId"}} {
			key := pair[0] + "=" + row[pair[0]] + " " + pair[1]
			if before, ok := one[key]; ok && before != row[pair[1]] {
				tell(n+1, "%s has %s and %s", key, before, row[pair[1]])
			}
			one[key] = row[pair[1]]
		}
	}
	slices.Sort(problems)
	return problems
}

func checkValue(row focusRow, name string, r rule, tell func(string, ...any)) {
	value := row[name]
	switch null := r.null(row); {
	case value == "" && null == mustNotBeNull:
		tell("is null")
	case value != "" && null == mustBeNull:
		tell("is not null")
	}
	if value == "" {
		return
	}
	if r.values != nil && !slices.Contains(r.values, value) {
		tell("%s is not allowed", value)
	}
	switch r.kind {
	case decimal:
		if !decimalForm.MatchString(value) {
			tell("%s is no number", value)
		}
	case instant:
		if t, err := time.Parse(time.RFC3339, value); err != nil || !strings.HasSuffix(value, "Z") || t.Location() != time.UTC {
			tell("%s is no time in UTC", value)
		}
	case keyValue:
		var pairs map[string]any
		if err := json.Unmarshal([]byte(value), &pairs); err != nil {
			tell("%s is no object", value)
		}
		for _, v := range pairs {
			switch v.(type) {
			case map[string]any, []any:
				tell("%s has objects or arrays", value)
			}
		}
	}
	if strings.TrimSpace(value) == "" {
		tell("is blank")
	}
}

// checkRow holds the columns of a row against each other.
func checkRow(row focusRow, tell func(string, ...any)) {
	if !currencyCode.MatchString(row["BillingCurrency"]) {
		tell("BillingCurrency %s is no currency", row["BillingCurrency"])
	}
	for _, name := range []string{"PricingUnit", "ConsumedUnit"} {
		if row[name] != "" && !unitForm.MatchString(row[name]) {
			tell("%s %s is no unit", name, row[name])
		}
	}
	if !slices.Contains(subcategories[row["ServiceCategory"]], row["ServiceSubcategory"]) {
		tell("%s is not of %s", row["ServiceSubcategory"], row["ServiceCategory"])
	}
	if row["ChargePeriodStart"] >= row["ChargePeriodEnd"] || row["ChargePeriodStart"] < row["BillingPeriodStart"] ||
		row["ChargePeriodEnd"] > row["BillingPeriodEnd"] {
		tell("the charge's period is not in the bill's")
	}
	if row["ChargeCategory"] == "Purchase" && row["ChargeFrequency"] == "Usage-Based" {
		tell("a purchase is not based on usage")
	}
	cost, _ := new(big.Rat).SetString(row["ListCost"])
	price, ok := new(big.Rat).SetString(row["ListUnitPrice"])
	quantity, measured := new(big.Rat).SetString(row["PricingQuantity"])
	if cost == nil {
		return // told already
	}
	if !ok || !measured {
		// Of what is related to no other charge.
		if row["ListCost"] != row["BilledCost"] || row["ContractedCost"] != row["BilledCost"] {
			tell("ListCost and ContractedCost are not BilledCost")
		}
		return
	}
	if price.Sign() < 0 {
		tell("ListUnitPrice is negative")
	}
	d := new(big.Rat).Mul(price, quantity)
	if d.Sub(d, cost).Abs(d).Cmp(big.NewRat(6, 1e13)) > 0 { // half of 10⁻¹², and the quantity's own rounding
		tell("ListCost %s is not %s times %s", row["ListCost"], row["ListUnitPrice"], row["PricingQuantity"])
	}
}

// readFOCUS returns the columns and rows of a dataset.
func readFOCUS(t *testing.T, r *bytes.Buffer) (head []string, rows []focusRow) {
	t.Helper()
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := focusRow{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return lines[0], rows
}

func TestFOCUS(t *testing.T) {
	inv, uses := someInvoice(t)
	var b bytes.Buffer
	if err := inv.FOCUS(&b, "us-east-1", uses); err != nil {
		t.Fatal(err)
	}
	head, rows := readFOCUS(t, &b)
	for _, problem := range validate(head, rows) {
		t.Error(problem)
	}
	categories := map[string]int{}
	for _, row := range rows {
		categories[row["ChargeCategory"]]++
	}
	if categories["Usage"] < 30 || categories["Credit"] < 4 || categories["Adjustment"] != 1 {
		t.Errorf("got %v", categories)
	}
	if total := sumBySQL(t, head, rows, ""); total.Sum() != inv.Total {
		t.Errorf("SQL makes it %v, the invoice says %v", total, inv.Total)
	}
	if charged := sumBySQL(t, head, rows, "WHERE ChargeCategory <> 'Credit'"); charged.Sum() != inv.Charged {
		t.Errorf("SQL makes the receipts %v, the invoice says %v", charged, inv.Charged)
	}
}

// sumBySQL imports a dataset into SQLite and has it add up BilledCost: exactly,
// as whole numbers of 10⁻¹², since SQLite's own numbers are floats.
func sumBySQL(t *testing.T, head []string, rows []focusRow, where string) millicent.Money {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE focus (" + strings.Join(head, " TEXT, ") + " TEXT)"); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		values := make([]any, len(head))
		for i, name := range head {
			if row[name] != "" {
				values[i] = row[name]
			}
		}
		if _, err := db.Exec("INSERT INTO focus VALUES (?"+strings.Repeat(", ?", len(head)-1)+")", values...); err != nil {
			t.Fatal(err)
		}
	}
	var sum int64
	err = db.QueryRow(`
		WITH parts AS (
			SELECT iif(BilledCost LIKE '-%', -1, 1) AS sign, ltrim(BilledCost, '-') || iif(instr(BilledCost, '.'), '', '.') AS n FROM focus ` + where + `
		)
		SELECT coalesce(sum(sign * CAST(substr(n, 1, instr(n, '.') - 1) || substr(substr(n, instr(n, '.') + 1) || '000000000000', 1, 12) AS INTEGER)), 0)
		FROM parts`).Scan(&sum)
	if err != nil {
		t.Fatal(err)
	}
	return millicent.Money(sum)
}

// TestValidator: what breaks a rule is found.
func TestValidator(t *testing.T) {
	inv, uses := someInvoice(t)
	for name, c := range map[string]struct {
		change func(head []string, row focusRow) []string // of a row of usage
		want   string
	}{
		"column missing":   {func(head []string, _ focusRow) []string { return head[1:] }, "BilledCost is missing"},
		"column unknown":   {func(head []string, _ focusRow) []string { return append(head, "Cost") }, "Cost is no column"},
		"null":             {func(head []string, row focusRow) []string { row["ServiceName"] = ""; return head }, "ServiceName: is null"},
		"quantity null":    {func(head []string, row focusRow) []string { row["ConsumedQuantity"] = ""; return head }, "ConsumedQuantity: is null"},
		"not null":         {func(head []string, row focusRow) []string { row["ChargeClass"] = "Correction"; return head }, "ChargeClass: is not null"},
		"no number":        {func(head []string, row focusRow) []string { row["BilledCost"] = "1e-7"; return head }, "BilledCost: 1e-7 is no number"},
		"no time":          {func(head []string, row focusRow) []string { row["ChargePeriodEnd"] = "2026-11-01"; return head }, "is no time"},
		"another category": {func(head []string, row focusRow) []string { row["ChargeCategory"] = "usage"; return head }, "usage is not allowed"},
		"wrong product":    {func(head []string, row focusRow) []string { row["PricingQuantity"] = "0.123"; return head }, "times 0.123"},
		"no object":        {func(head []string, row focusRow) []string { row["Tags"] = "team=a"; return head }, "is no object"},
		"nested":           {func(head []string, row focusRow) []string { row["Tags"] = `{"a":[]}`; return head }, "has objects or arrays"},
		"no unit":          {func(head []string, row focusRow) []string { row["PricingUnit"] = "gb"; return head }, "gb is no unit"},
		"wrong service":    {func(head []string, row focusRow) []string { row["ServiceSubcategory"] = "Messaging"; return head }, "Messaging is not of Compute"},
		"two SKUs":         {func(head []string, row focusRow) []string { row["SkuId"] = "x"; return head }, "SkuId has"},
		"period": {func(head []string, row focusRow) []string {
			row["ChargePeriodStart"] = "2025-01-01T00:00:00Z"
			return head
		}, "is not in the bill's"},
	} {
		var b bytes.Buffer
		if err := inv.FOCUS(&b, "us-east-1", uses); err != nil {
			t.Fatal(err)
		}
		head, rows := readFOCUS(t, &b)
		head = c.change(head, rows[len(rows)/2])
		if got := strings.Join(validate(head, rows), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
