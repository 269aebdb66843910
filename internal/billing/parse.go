package billing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/millicent-run/millicent"
)

// Bounds of a price book.
const (
	maxBook     = 64 << 10 // bytes of the file
	maxTiers    = 20       // of an item
	maxQuantity = 1e12     // of a free quantity or a tier, in units such as GB-seconds

	// maxPrice is the highest price of a unit: what an item costs then stays
	// far from the bounds of Money.
	maxPrice = 1000 * millicent.Unit

	bookFormat = 1 // of the file; newer ones are refused
)

var (
	nameForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// Parse reads a price book from YAML, in the form of docs/formats/prices.md.
// Its errors name the line.
func Parse(text []byte) (*Book, error) {
	if len(text) > maxBook {
		return nil, fmt.Errorf("a price book has at most %d bytes, not %d", maxBook, len(text))
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the price book is empty")
	case err != nil:
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("a price book is one YAML document")
	}
	b := &Book{}
	if err := b.read(doc.Content[0]); err != nil {
		return nil, err
	}
	return b, b.check()
}

// fields are what a mapping may have: for each key, how to read its value.
type fields map[string]func(*yaml.Node) error

func (b *Book) read(n *yaml.Node) error {
	init := false
	err := mapping(n, fields{
		"format":   number(func(v int64) { _ = v }, bookFormat, bookFormat),
		"name":     text(&b.Name, nameForm),
		"version":  number(func(v int64) { b.Version = int(v) }, 1, 1e6),
		"currency": text(&b.Currency, currencyForm),
		"valid": func(n *yaml.Node) error {
			return mapping(n, fields{"from": date(&b.From), "until": date(&b.Until)})
		},
		"prices":  b.readPrices(&init),
		"free":    b.readFree,
		"tiers":   b.readTiers,
		"machine": b.readMachine,
		"server":  b.readServer,
	}, "format", "name", "version", "currency")
	if err != nil {
		return err
	}
	if b.Machine != nil {
		if b.Prices[Compute] != 0 || b.Prices[CPU] != 0 {
			return errors.New("the prices of gb_second and cpu_second come from the machine: leave them out, or the machine")
		}
		b.Prices[Compute], b.Prices[CPU] = b.Machine.prices()
	}
	if !init {
		b.Prices[Init] = b.Prices[Compute]
	}
	return nil
}

// readPrices reads the prices; init tells whether one of Init was among them.
func (b *Book) readPrices(init *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return items(n, func(i Item, n *yaml.Node) error {
			*init = *init || i == Init
			return amount(&b.Prices[i], maxPrice)(n)
		})
	}
}

func (b *Book) readFree(n *yaml.Node) error {
	return items(n, func(i Item, n *yaml.Node) error { return quantity(&b.Free[i], i)(n) })
}

func (b *Book) readTiers(n *yaml.Node) error {
	return items(n, func(i Item, n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode || len(n.Content) > maxTiers {
			return at(n, "want a list of at most %d tiers", maxTiers)
		}
		for _, entry := range n.Content {
			var t Tier
			err := mapping(entry, fields{"above": quantity(&t.Above, i), "price": amount(&t.Price, maxPrice)}, "above", "price")
			if err != nil {
				return err
			}
			b.Tiers[i] = append(b.Tiers[i], t)
		}
		return nil
	})
}

func (b *Book) readServer(n *yaml.Node) error {
	s := &Server{}
	b.Server = s
	return mapping(n, fields{
		"name":      text(&s.Name, nil),
		"per_month": amount(&s.PerMonth, 1000*maxPrice),
		"memory_mb": number(func(v int64) { s.MemoryMB = int(v) }, 128, 1<<30),
	}, "name", "per_month", "memory_mb")
}

// check holds what a book says in several places against each other.
func (b *Book) check() error {
	if !b.Until.IsZero() && !b.From.Before(b.Until) {
		return errors.New("valid.until has to be after valid.from")
	}
	for i, tiers := range b.Tiers {
		above, price := int64(0), b.Prices[i]
		for _, t := range tiers {
			switch {
			case t.Above <= above && above > 0 || t.Above == 0:
				return fmt.Errorf("tiers of %s: each begins above the one before", Item(i))
			case t.Price >= price:
				return fmt.Errorf("tiers of %s: each has a lower price than the one before, and than the list's", Item(i))
			}
			above, price = t.Above, t.Price
		}
	}
	return nil
}

// mapping reads a mapping whose keys are among fields, each once at most, and
// those of required once.
func mapping(n *yaml.Node, known fields, required ...string) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "want keys and values")
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := known[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || read == nil:
			return at(key, "%.40q is not known here", key.Value)
		case seen[key.Value]:
			return at(key, "%s is here twice", key.Value)
		}
		seen[key.Value] = true
		if err := read(value); err != nil {
			return err
		}
	}
	for _, key := range required {
		if !seen[key] {
			return at(n, "%s is missing", key)
		}
	}
	return nil
}

// items reads a mapping whose keys are names of items.
func items(n *yaml.Node, read func(Item, *yaml.Node) error) error {
	known := fields{}
	for i := range Item(NumItems) {
		known[i.String()] = func(n *yaml.Node) error { return read(i, n) }
	}
	return mapping(n, known)
}

// scalar returns a value's text, as it was written.
func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return "", at(n, "want a value")
	}
	return n.Value, nil
}

// text reads text of a form; nil is any of up to 80 bytes.
func text(to *string, form *regexp.Regexp) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		switch {
		case err != nil:
			return err
		case form != nil && !form.MatchString(s):
			return at(n, "%.80q has not the form %s", s, form)
		case len(s) > 80:
			return at(n, "%.20q… is longer than 80 bytes", s)
		}
		*to = s
		return nil
	}
}

func number(set func(int64), least, most int64) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v < least || v > most {
			if least == most {
				return at(n, "want %d, not %.20q", least, s)
			}
			return at(n, "want a whole number from %d to %d, not %.20q", least, most, s)
		}
		set(v)
		return nil
	}
}

// quantity reads a number of an item's units, such as GB-seconds.
func quantity(to *int64, i Item) func(*yaml.Node) error {
	per := measures[i].per
	return number(func(v int64) { *to = v * per }, 0, min(maxQuantity, math.MaxInt64/per))
}

// amount reads an amount from nothing to most.
func amount(to *millicent.Money, most millicent.Money) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		m, err := millicent.ParseMoney(s)
		switch {
		case err != nil:
			return at(n, "%v", err)
		case m < 0 || m > most:
			return at(n, "want an amount from 0 to %v, not %v", most, m)
		}
		*to = m
		return nil
	}
}

// date reads a day, which begins at midnight UTC.
func date(to *time.Time) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return at(n, "want a day such as 2026-01-31, not %.20q", s)
		}
		*to = t
		return nil
	}
}

// at returns an error that names a node's line.
func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %w", n.Line, fmt.Errorf(format, args...))
}
