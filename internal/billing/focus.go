package billing

import (
	"encoding/csv"
	"io"
	"time"

	"github.com/millicent-run/millicent"
)

// A DailyUse is what was used on a day, told apart by what FOCUS has columns
// for.
type DailyUse struct {
	Day             time.Time
	Function, Alias string
	Tags            string // a JSON object, or ""
	Book            *Book
	Quantities      Quantities
}

// focusColumns are the columns of the export: all that FOCUS 1.2 has as
// mandatory, and those of its conditional and recommended ones that apply:
// there is a public price list, tags, a region and measured usage; there are no
// sub-accounts, commitments, reservations, negotiated prices or other
// currencies.
var focusColumns = []string{
	"BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
	"ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
	"ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceId", "InvoiceIssuerName",
	"ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
	"RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory",
	"SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "Tags",
}

// focusUnits are the items' units in the words of FOCUS, where a GB has 10⁹
// bytes and what we call one is a GiB.
var focusUnits = [NumItems]string{
	Requests: "Requests", Compute: "GiB-Seconds", Init: "GiB-Seconds", CPU: "Core-Seconds", Egress: "GiB",
	Provisioned: "GiB-Seconds", Storage: "GiB-Months", QueueRequests: "Requests",
}

// quantityPlaces is how many decimal places quantities of the export have at
// most. A product with a price is then as exact as the amount.
const quantityPlaces = 18

// A focusRow is a row of the export, by column; what it has not is null.
type focusRow map[string]string

// FOCUS writes the invoice as a cost and usage dataset of the FinOps Open Cost
// and Usage Specification 1.2, in CSV with a head; an empty field is null. uses
// are the month's, all of them.
//
// Each item of each use is a row of usage, at list prices. Rows of the category
// Credit have the invoice's credits, and one of the category Adjustment what the
// receipts' roundings make. So BilledCost adds up to the invoice's total, to
// the last unit.
func (inv *Invoice) FOCUS(w io.Writer, region string, uses []DailyUse) error {
	out := csv.NewWriter(w)
	_ = out.Write(focusColumns) // what cannot be written is told by Error, at the end
	write := func(row focusRow) {
		fields := make([]string, len(focusColumns))
		for i, c := range focusColumns {
			fields[i] = row[c]
		}
		_ = out.Write(fields)
	}
	var listed millicent.MoneySum
	for _, u := range uses {
		total := u.Book.Total(u.Quantities)
		listed = listed.Add(total.Total)
		for i := range Item(NumItems) {
			if total.Quantities[i] > 0 && total.Prices[i] > 0 {
				write(inv.usageRow(&u, i, &total, region))
			}
		}
	}
	for _, s := range inv.Sections {
		for _, c := range s.Credits {
			write(inv.amountRow("Credit", c.Title(), c.Amount.Neg(), region))
		}
	}
	if rest := inv.Charged.Sub(listed); rest.Sign() != 0 {
		write(inv.amountRow("Adjustment", Title(rounding), rest, region))
	}
	out.Flush()
	return out.Error()
}

// row returns what all rows have.
func (inv *Invoice) row(amount millicent.MoneySum, from, to time.Time, region string) focusRow {
	return focusRow{
		"BilledCost": amount.String(), "ContractedCost": amount.String(), "EffectiveCost": amount.String(), "ListCost": amount.String(),
		"BillingAccountId": inv.Tenant, "BillingAccountType": "Account", "BillingCurrency": inv.Currency,
		"BillingPeriodStart": focusTime(inv.From), "BillingPeriodEnd": focusTime(inv.To),
		"ChargePeriodStart": focusTime(from), "ChargePeriodEnd": focusTime(to), "InvoiceId": inv.ID,
		"InvoiceIssuerName": "Millicent", "ProviderName": "Millicent", "PublisherName": "Millicent",
		"RegionId": region, "RegionName": region,
		"ServiceName": "Millicent Functions", "ServiceCategory": "Compute", "ServiceSubcategory": "Serverless Compute",
	}
}

// usageRow returns the row of an item that was used.
func (inv *Invoice) usageRow(u *DailyUse, i Item, total *Charge, region string) focusRow {
	row := inv.row(total.Amounts[i], u.Day, u.Day.AddDate(0, 0, 1), region)
	per, _ := i.Per()
	quantity := Decimal(total.Quantities[i], per, quantityPlaces)
	for column, value := range map[string]string{
		"ChargeCategory": "Usage", "ChargeDescription": Title(i.String()), "ChargeFrequency": "Usage-Based",
		"ConsumedQuantity": quantity, "ConsumedUnit": focusUnits[i], "PricingQuantity": quantity, "PricingUnit": focusUnits[i],
		"ListUnitPrice": total.Prices[i].String(), "PricingCategory": "Standard",
		"SkuId": i.String(), "SkuMeter": Title(i.String()), "SkuPriceId": u.Book.ID() + "/" + i.String(), "Tags": u.Tags,
	} {
		row[column] = value
	}
	switch i {
	case Storage:
		row["ServiceName"], row["ServiceCategory"], row["ServiceSubcategory"] = "Millicent Storage", "Storage", "Other (Storage)"
	case QueueRequests:
		row["ServiceName"], row["ServiceCategory"], row["ServiceSubcategory"] = "Millicent Queues", "Integration", "Messaging"
	}
	if u.Function != "" {
		row["ResourceId"] = millicent.ARN(region, inv.Tenant, u.Function, u.Alias)
		row["ResourceName"], row["ResourceType"] = u.Function, "Function"
	}
	return row
}

// amountRow returns a row of the whole month that has no quantity.
func (inv *Invoice) amountRow(category, description string, amount millicent.MoneySum, region string) focusRow {
	row := inv.row(amount, inv.From, inv.To, region)
	row["ChargeCategory"], row["ChargeDescription"], row["ChargeFrequency"] = category, description, "One-Time"
	return row
}

func focusTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
