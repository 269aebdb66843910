package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// AWS's cron: six fields, "minutes hours day-of-month month day-of-week year",
// in which one of the two fields for days is a question mark. Besides lists,
// ranges and steps there are
//
//	L     in day-of-month: the month's last day; L-3: three days before it
//	W     in day-of-month: 15W is the weekday nearest to the 15th in the month,
//	      LW the last one
//	L     in day-of-week: Saturday; 6L is the month's last Friday
//	#     in day-of-week: 3#2 is the month's second Tuesday
//
// A time that the clocks leap over is left out, and one that they show twice
// counts once, the first time.
type cron struct {
	minutes, hours, months uint64 // bit n is set for the value n
	years                  *[maxYear - minYear + 1]bool
	days                   dayRule
}

const (
	minYear = 1970
	maxYear = 2199
)

// A dayRule says which days of a month count. Exactly one part of it does.
type dayRule struct {
	days     uint64       // of the month, bits 1 to 31; 0: none
	weekdays uint64       // bits 1 (Sunday) to 7; 0: none
	last     int          // days before the last of the month, from 0; -1: none
	nearest  int          // the weekday nearest to this day; 0: none, lastWeekday: to the last
	lastOf   time.Weekday // the month's last such day, when nth is lastNth
	nth      int          // the nth lastOf of the month; 0: none
}

const (
	lastWeekday = 32
	lastNth     = 6
)

// A field is the values that a part of an expression may have.
type field struct {
	name     string
	min, max int
	names    []string // of min and the following values, in upper case
	wraps    bool     // a range may go from a value to a lower one
}

var (
	minuteField  = field{name: "minutes", max: 59, wraps: true}
	hourField    = field{name: "hours", max: 23, wraps: true}
	dayField     = field{name: "day-of-month", min: 1, max: 31, wraps: true}
	monthField   = field{name: "month", min: 1, max: 12, wraps: true, names: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")}
	weekdayField = field{name: "day-of-week", min: 1, max: 7, wraps: true, names: strings.Fields("SUN MON TUE WED THU FRI SAT")}
	yearField    = field{name: "year", min: minYear, max: maxYear}
)

// parseCron reads what is in the parentheses.
func parseCron(text string) (*cron, error) {
	parts := strings.Fields(strings.ToUpper(text))
	if len(parts) != 6 {
		return nil, fmt.Errorf("%d fields instead of 6", len(parts))
	}
	c := new(cron)
	for _, f := range []struct {
		field field
		text  string
		set   *uint64
	}{{minuteField, parts[0], &c.minutes}, {hourField, parts[1], &c.hours}, {monthField, parts[3], &c.months}} {
		if err := f.field.parse(f.text, func(v int) { *f.set |= 1 << v }); err != nil {
			return nil, err
		}
	}
	c.years = new([maxYear - minYear + 1]bool)
	if err := yearField.parse(parts[5], func(v int) { c.years[v-minYear] = true }); err != nil {
		return nil, err
	}
	var err error
	switch day, weekday := parts[2], parts[4]; {
	case (day == "?") == (weekday == "?"):
		err = fmt.Errorf("exactly one of day-of-month and day-of-week has to be ?")
	case weekday == "?":
		c.days, err = parseDays(day)
	default:
		c.days, err = parseWeekdays(weekday)
	}
	return c, err
}

// parse calls add for each value of a list of values, ranges and steps.
func (f field) parse(text string, add func(int)) error {
	for part := range strings.SplitSeq(text, ",") {
		if err := f.parsePart(part, add); err != nil {
			return err
		}
	}
	return nil
}

func (f field) parsePart(text string, add func(int)) error {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		var err error
		if step, err = number(stepText); err != nil || step < 1 || step > f.max {
			return fmt.Errorf("%s: step %q", f.name, stepText)
		}
	}
	from, to := f.min, f.max
	if span != "*" {
		low, high, ranged := strings.Cut(span, "-")
		var err error
		if from, err = f.value(low); err != nil {
			return err
		}
		switch {
		case ranged:
			if to, err = f.value(high); err != nil {
				return err
			}
		case !stepped:
			to = from
		}
	}
	size := f.max - f.min + 1
	if to < from {
		if !f.wraps {
			return fmt.Errorf("%s: %q goes backwards", f.name, span)
		}
		to += size
	}
	for v := from; v <= to; v += step {
		add(f.min + (v-f.min)%size)
	}
	return nil
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if text == name {
			return f.min + i, nil
		}
	}
	if n, err := number(text); err == nil && n >= f.min && n <= f.max {
		return n, nil
	}
	return 0, fmt.Errorf("%s: value %q", f.name, text)
}

// number reads at most four digits.
func number(text string) (int, error) {
	if len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return strconv.Atoi(text)
}

// parseDays reads the field for days of the month.
func parseDays(text string) (dayRule, error) {
	r := dayRule{last: -1}
	switch before, isBefore := strings.CutPrefix(text, "L-"); {
	case text == "L":
		r.last = 0
		return r, nil
	case text == "LW":
		r.nearest = lastWeekday
		return r, nil
	case isBefore:
		n, err := number(before)
		if err != nil || n < 1 || n > 30 {
			return r, fmt.Errorf("day-of-month: %q", text)
		}
		r.last = n
		return r, nil
	}
	if day, ok := strings.CutSuffix(text, "W"); ok {
		var err error
		r.nearest, err = dayField.value(day)
		return r, err
	}
	return r, dayField.parse(text, func(v int) { r.days |= 1 << v })
}

// parseWeekdays reads the field for days of the week.
func parseWeekdays(text string) (dayRule, error) {
	r := dayRule{last: -1}
	if text == "L" {
		r.weekdays = 1 << 7
		return r, nil
	}
	day, isLast := strings.CutSuffix(text, "L")
	nth := strconv.Itoa(lastNth - 1)
	isNth := false
	if !isLast {
		day, nth, isNth = strings.Cut(text, "#")
	}
	if !isLast && !isNth {
		return r, weekdayField.parse(text, func(v int) { r.weekdays |= 1 << v })
	}
	weekday, err := weekdayField.value(day)
	if err != nil {
		return r, err
	}
	n, err := number(nth)
	if err != nil || n < 1 || n >= lastNth {
		return r, fmt.Errorf("day-of-week: %q", text)
	}
	if isLast {
		n = lastNth
	}
	r.lastOf, r.nth = time.Weekday(weekday-1), n
	return r, nil
}

// of returns the days of a month that count, as bits 1 to 31.
func (r dayRule) of(year int, month time.Month) uint64 {
	length := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday()
	all := uint64(1)<<(length+1) - 2
	switch {
	case r.nth > 0:
		day := 1 + int(r.lastOf-first+7)%7 + 7*(r.nth-1)
		for r.nth == lastNth && day > length {
			day -= 7
		}
		return all & (1 << day)
	case r.nearest > 0:
		day := r.nearest
		if day == lastWeekday {
			day = length
		} else if day > length {
			return 0
		}
		return 1 << nearestWeekday(day, length, first)
	case r.last >= 0:
		return all & (1 << max(length-r.last, 0))
	case r.weekdays > 0:
		var days uint64
		for day := 1; day <= length; day++ {
			if r.weekdays&(1<<(1+(int(first)+day-1)%7)) != 0 {
				days |= 1 << day
			}
		}
		return days
	}
	return all & r.days
}

// nearestWeekday returns the weekday nearest to a day without leaving the
// month, which begins on first.
func nearestWeekday(day, length int, first time.Weekday) int {
	switch time.Weekday((int(first) + day - 1) % 7) {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == length {
			return day - 2
		}
		return day + 1
	}
	return day
}

// next returns the first time after another; ok is false when there is none
// until the end of maxYear.
func (c *cron) next(after time.Time, zone *time.Location) (_ time.Time, ok bool) {
	// What clocks show is written as times in UTC. Nothing that they show up to
	// floor can be later than after, whichever way they are set.
	floor := after.UTC().Add(min(offset(after.Add(-24*time.Hour), zone), offset(after.Add(24*time.Hour), zone)))
	year, month, day := floor.Date()
	if year < minYear {
		year, month, day = minYear, time.January, 1
	}
	for ; year <= maxYear; year, month, day = year+1, time.January, 1 {
		if !c.years[year-minYear] {
			continue
		}
		for ; month <= time.December; month, day = month+1, 1 {
			if c.months&(1<<month) == 0 {
				continue
			}
			for days := c.days.of(year, month) >> day << day; days != 0; days &= days - 1 {
				date := time.Date(year, month, bits.TrailingZeros64(days), 0, 0, 0, 0, time.UTC)
				if t, ok := c.nextOfDay(date, floor, after, zone); ok {
					return t, true
				}
			}
		}
	}
	return time.Time{}, false
}

// nextOfDay returns the first time of a day after another.
func (c *cron) nextOfDay(date, floor, after time.Time, zone *time.Location) (_ time.Time, ok bool) {
	for hours := c.hours; hours != 0; hours &= hours - 1 {
		hour := date.Add(time.Duration(bits.TrailingZeros64(hours)) * time.Hour)
		if !hour.Add(time.Hour).After(floor) {
			continue
		}
		for minutes := c.minutes; minutes != 0; minutes &= minutes - 1 {
			wall := hour.Add(time.Duration(bits.TrailingZeros64(minutes)) * time.Minute)
			if !wall.After(floor) {
				continue
			}
			if t, ok := inZone(wall, zone); ok && t.After(after) {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// offset is by how much clocks in a zone are ahead of UTC.
func offset(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}
