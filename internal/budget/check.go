package budget

import (
	"regexp"
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

// Bounds of a definition.
const (
	maxWarnings = 10
	maxPercent  = 1000
	maxRate     = 1e6
	maxWebhook  = 1024 // bytes
	maxTag      = 128  // bytes, of the name
	maxTagValue = 256  // bytes
)

var (
	tenantForm   = regexp.MustCompile(`^[0-9]{12}$`)
	functionForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	aliasForm    = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	keyForm      = regexp.MustCompile(`^[A-Za-z0-9]{1,128}$`)
)

// check returns what is wrong with a budget that somebody wants, and puts its
// warnings in order.
func check(b *millicent.Budget) error {
	slices.Sort(b.Warn)
	b.Warn = slices.Compact(b.Warn)
	for _, part := range []func(*millicent.Budget) error{checkScope, checkPeriod, checkActions, checkTold} {
		if err := part(b); err != nil {
			return err
		}
	}
	return nil
}

func checkScope(b *millicent.Budget) error {
	s := b.Scope
	kinds := 0
	for _, given := range []bool{s.Function != "", s.Tag != "", s.Key != ""} {
		if given {
			kinds++
		}
	}
	switch {
	case !tenantForm.MatchString(b.Tenant):
		return invalid("%.40q is no account: its id has twelve digits.", b.Tenant)
	case kinds > 1:
		return invalid("A budget is for one of a function, a tag and an access key.")
	case s.Function != "" && !functionForm.MatchString(s.Function):
		return invalid("%.80q is not a function's name.", s.Function)
	case s.Alias != "" && (s.Function == "" || !aliasForm.MatchString(s.Alias) || millicent.IsNumber(s.Alias)):
		return invalid("%.80q is not an alias of a function.", s.Alias)
	case len(s.Tag) > maxTag || len(s.Value) > maxTagValue || (s.Value == "") != (s.Tag == ""):
		return invalid("A tag has a name of up to %d bytes, and here a value, of up to %d.", maxTag, maxTagValue)
	case s.Key != "" && !keyForm.MatchString(s.Key):
		return invalid("%.80q is not the id of an access key.", s.Key)
	}
	return nil
}

func checkPeriod(b *millicent.Budget) error {
	switch b.Per {
	case millicent.PerHour, millicent.PerDay, millicent.PerMonth, millicent.InAll:
	default:
		return invalid("%.40q is no period: choose hour, day, month or total.", string(b.Per))
	}
	if _, err := time.LoadLocation(b.Zone); err != nil || b.Zone == "Local" {
		return invalid("%.80q is no time zone, such as Europe/Berlin.", b.Zone)
	}
	if b.Amount <= 0 {
		return invalid("A budget has an amount of more than nothing. To stop a function, reserve no concurrency for it.")
	}
	return nil
}

func checkActions(b *millicent.Budget) error {
	if len(b.Warn) > maxWarnings {
		return invalid("A budget warns %d times at most.", maxWarnings)
	}
	for _, percent := range b.Warn {
		if percent < 1 || percent > maxPercent {
			return invalid("A budget warns at 1 to %d percent.", maxPercent)
		}
	}
	if t := b.Throttle; t != nil {
		switch {
		case !(t.Rate > 0 && t.Rate <= maxRate): // NaN is neither
			return invalid("A throttle lets more than 0 and up to %d invocations a second through.", int(maxRate))
		case t.At < 0 || t.At > maxPercent:
			return invalid("A throttle begins at 0 to %d percent.", maxPercent)
		}
	}
	if b.EndEvents && !b.Stop && b.Throttle == nil {
		return invalid("A budget that neither stops nor throttles refuses no events.")
	}
	return nil
}

func checkTold(b *millicent.Budget) error {
	if b.Webhook != "" {
		d, ok := millicent.ParseDestination("arn:aws-millicent:webhook:::" + b.Webhook)
		if !ok || d.Kind != millicent.ToWebhook || len(b.Webhook) > maxWebhook {
			return invalid("A webhook is an http or https URL of up to %d bytes, without credentials.", maxWebhook)
		}
	}
	if b.Notify != "" && !functionForm.MatchString(b.Notify) {
		return invalid("%.80q is not a function's name.", b.Notify)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return millicent.Errorf(millicent.CodeInvalid, format, args...)
}
