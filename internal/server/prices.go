package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millicent-run/millicent/internal/billing"
	"github.com/millicent-run/millicent/internal/durable"
)

// openPrices reads the price books that are in force, and those that were
// before: of each that ever was, the data directory keeps a copy, since
// receipts and bills are by the book of their time.
func (s *server) openPrices(context.Context) error {
	dir := filepath.Join(s.cfg.Data, "prices")
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	kept, err := keptBooks(dir)
	if err != nil {
		return err
	}
	var chosen []*billing.Book
	based := false // one is in force where no other is
	for _, name := range s.cfg.Prices {
		text, err := bookText(name)
		if err != nil {
			return err
		}
		b, err := keepBook(dir, kept, text)
		if err != nil {
			return fmt.Errorf("price book %s: %w", name, err)
		}
		based = based || b.From.IsZero() && b.Until.IsZero()
		chosen = append(chosen, b)
	}
	if !based {
		text, _ := billing.Embedded("default")
		b, err := keepBook(dir, kept, text)
		if err != nil {
			return fmt.Errorf("default price book: %w", err)
		}
		chosen = append(chosen, b)
	}
	others := []*billing.Book{billing.Default(), billing.Hardware()}
	for _, b := range kept {
		others = append(others, b)
	}
	if s.books, err = billing.NewBooks(chosen, others); err != nil {
		return err
	}
	s.log.Info("price book", "book", s.books.At(time.Now()).ID())
	return nil
}

// bookText returns a book's text: an embedded one by its name, any other by
// the name of its file.
func bookText(name string) ([]byte, error) {
	if text, ok := billing.Embedded(name); ok {
		return text, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file, and no price book that is built in", name)
	}
	return text, err
}

// keptBooks returns the books of which there are copies, by id.
func keptBooks(dir string) (map[string]*billing.Book, error) {
	names, err := fs.Glob(os.DirFS(dir), "*@*.yaml")
	if err != nil {
		return nil, err
	}
	kept := map[string]*billing.Book{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		b, err := billing.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("price book %s: %w", name, err)
		}
		kept[b.ID()] = b
	}
	return kept, nil
}

// keepBook reads a book and makes a copy of it, unless there is one. A book
// that says other than its copy is refused: receipts are by the copy.
func keepBook(dir string, kept map[string]*billing.Book, text []byte) (*billing.Book, error) {
	b, err := billing.Parse(text)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, b.ID()+".yaml")
	if before := kept[b.ID()]; before != nil {
		if !b.Same(before) {
			return nil, fmt.Errorf("%s was in force with other prices (%s): what has changed is another version", b.ID(), name)
		}
		return b, nil
	}
	return b, durable.WriteFile(name, text, 0o600)
}

// PriceBook returns the text of a price book that is built in.
func PriceBook(name string) (text []byte, ok bool) { return billing.Embedded(name) }

// CheckPriceBook reads a price book, and returns its id and the name and price
// of each of its items.
func CheckPriceBook(text []byte) (id string, prices [][2]string, err error) {
	b, err := billing.Parse(text)
	if err != nil {
		return "", nil, err
	}
	for i, price := range b.Prices {
		prices = append(prices, [2]string{billing.Item(i).String(), price.String() + " " + b.Currency})
	}
	return b.ID(), prices, nil
}
