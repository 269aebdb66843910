package lambda

import (
	"encoding/base64"
	"fmt"
	"sort"
	"strconv"

	"github.com/millicent-run/millicent"
)

const (
	defaultPage = 50
	maxPage     = 50 // functions, versions and aliases; asking for more is no error
)

// paginate returns the page of items after the marker, and the marker of the
// next page when there is one. key gives each item's place in the order that
// the items are in; a marker is the key of the last item shown, so that what
// is created or deleted between two pages shifts nothing.
func paginate[T any](items []T, marker *string, size *int, standard int, key func(T) string) ([]T, *string, error) {
	if m := value(marker); m != "" {
		last, err := base64.RawURLEncoding.DecodeString(m)
		if err != nil {
			return nil, nil, &millicent.Error{Code: millicent.CodeInvalid, Message: "Invalid marker.", Err: err}
		}
		items = items[sort.Search(len(items), func(i int) bool { return key(items[i]) > string(last) }):]
	}
	limit := standard
	if size != nil {
		limit = min(*size, maxPage)
	}
	if len(items) <= limit {
		return items, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items[:limit], &next, nil
}

// order returns a key by which versions sort: the draft, then by number.
func order(version string) string {
	n, err := strconv.Atoi(version)
	if err != nil {
		return "0" // the draft
	}
	return fmt.Sprintf("1%020d", n)
}

// dereference returns the values that pointers point to; never nil, so that
// an empty list is shown.
func dereference[T any](pointers []*T) []T {
	list := make([]T, len(pointers))
	for i, p := range pointers {
		list[i] = *p
	}
	return list
}
