package billing

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// A Book is a version of a price book. It never changes.
type Book struct {
	Name     string
	Version  int
	Currency string // ISO 4217

	// It is in force from From until before Until; a zero time is no bound.
	From, Until time.Time

	Prices Amounts // per unit of Item.Per

	// What is not charged of a tenant's usage in a calendar month.
	Free Quantities

	// Lower prices for what goes beyond a quantity in a tenant's calendar
	// month, the free quantity counted: in rising order, each lower than the
	// one before.
	Tiers [NumItems][]Tier

	Machine *Machine // that the prices were derived from; nil when they were given
	Server  *Server  // what to compare bills with; nil for nothing
}

// A Tier is a price for usage beyond a quantity.
type Tier struct {
	Above int64 // in the item's Unit
	Price millicent.Money
}

// A Server is what one would rent to run functions all the time.
type Server struct {
	Name     string          `json:"name"`
	PerMonth millicent.Money `json:"perMonth"` // of 730 hours
	MemoryMB int             `json:"memoryMB"`
}

// ID returns the book's name and version, which usage records carry:
// "default@1".
func (b *Book) ID() string { return b.Name + "@" + strconv.Itoa(b.Version) }

// InForce reports whether the book is in force at a time.
func (b *Book) InForce(at time.Time) bool {
	return !at.Before(b.From) && (b.Until.IsZero() || at.Before(b.Until))
}

// Same reports whether two books say the same, but for when they are in force.
func (b *Book) Same(o *Book) bool {
	x, y := *b, *o
	x.From, x.Until, y.From, y.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return reflect.DeepEqual(x, y)
}

// Books are all the price books that a platform knows. They never change, and
// may be used concurrently.
type Books struct {
	chosen []*Book  // by From, the latest first
	ids    []string // of chosen
	byID   map[string]*Book
}

// NewBooks returns the set of books that are chosen, to be in force each in
// its time, and of others that can be asked for by ID only, such as those that
// were in force before. One of chosen must be without bounds: it is in force
// at any time that no other is.
func NewBooks(chosen, others []*Book) (*Books, error) {
	s := &Books{chosen: slices.Clone(chosen), byID: map[string]*Book{}}
	for _, b := range slices.Concat(others, chosen) {
		s.byID[b.ID()] = b
	}
	slices.SortStableFunc(s.chosen, func(a, b *Book) int { return b.From.Compare(a.From) })
	for i, b := range s.chosen {
		s.ids = append(s.ids, b.ID())
		if b.Currency != s.chosen[0].Currency {
			return nil, fmt.Errorf("price books %s and %s are in different currencies: one bill has one", s.chosen[0].ID(), b.ID())
		}
		if i > 0 && b.From.Equal(s.chosen[i-1].From) {
			return nil, fmt.Errorf("price books %s and %s are in force from the same time: which one is meant?", s.chosen[i-1].ID(), b.ID())
		}
	}
	if n := len(s.chosen); n == 0 || !s.chosen[n-1].From.IsZero() || !s.chosen[n-1].Until.IsZero() {
		return nil, fmt.Errorf("one price book has to be without valid.from and valid.until: it is in force where no other is")
	}
	return s, nil
}

// At returns the book in force at a time: of several the one that came into
// force last.
func (s *Books) At(at time.Time) *Book { return s.chosen[s.index(at)] }

// IDAt returns the ID of the book in force at a time: the same text in the same
// place each time, for records to share.
func (s *Books) IDAt(at time.Time) string { return s.ids[s.index(at)] }

// index returns which of chosen is in force at a time.
func (s *Books) index(at time.Time) int {
	for i, b := range s.chosen {
		if b.InForce(at) {
			return i
		}
	}
	return len(s.chosen) - 1 // NewBooks saw that it has no bounds
}

// Book returns the book of an ID, or of a name alone the latest version; ok is
// false when it is not known.
func (s *Books) Book(id string) (b *Book, ok bool) {
	if b, ok = s.byID[id]; ok {
		return b, true
	}
	for _, other := range s.byID {
		if other.Name == id && (b == nil || b.Version < other.Version) {
			b = other
		}
	}
	return b, b != nil
}

// All returns all books, by name and version.
func (s *Books) All() []*Book {
	return slices.SortedFunc(maps.Values(s.byID), func(a, b *Book) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
}

// Of returns the book that a record is priced by: the one that it names, or
// when it names none the one in force at its start; nil when it names a book
// that is not known.
func (s *Books) Of(rec *millicent.UsageRecord) *Book {
	if rec.PriceBook == "" {
		return s.At(rec.Start)
	}
	return s.byID[rec.PriceBook]
}
