package lambda

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/millicent-run/millicent"
)

// A name is a function's, in any of the forms that the API takes: name,
// partial or full ARN, each with or without a qualifier.
type name struct {
	region    string // empty when not given
	account   string // empty when not given
	function  string
	qualifier string // empty when not given
}

var regionForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\A(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d\z`)
})

// parseName splits a function name that has passed the model's pattern. Each
// leading part is optional, and taken for what it looks like as long as
// another follows.
func parseName(s string) name {
	if !strings.Contains(s, ":") {
		return name{function: s}
	}
	var n name
	parts := strings.Split(s, ":")
	if parts[0] == "arn" && len(parts) > 3 {
		parts = parts[3:] // arn:PARTITION:lambda
	}
	if len(parts) > 1 && regionForm().MatchString(parts[0]) {
		n.region, parts = parts[0], parts[1:]
	}
	if len(parts) > 1 && len(parts[0]) == 12 && isDigits(parts[0]) {
		n.account, parts = parts[0], parts[1:]
	}
	if len(parts) > 1 && parts[0] == "function" {
		parts = parts[1:]
	}
	n.function = parts[0]
	if len(parts) > 1 {
		n.qualifier = parts[1]
	}
	return n
}

const maxNameLength = 64

// resolve parses a function name, refuses one of another region or account,
// and joins its qualifier with the one given beside it.
func (h *Handler) resolve(req *request, given string, qualifier *string) (name, error) {
	n := parseName(given)
	if n.region != "" && n.region != h.cfg.Region {
		return n, notFound("Functions from '%s' are not reachable in this region ('%s')", n.region, h.cfg.Region)
	}
	if n.account != "" && n.account != req.tenant {
		return n, millicent.Errorf(millicent.CodeAccessDenied, "")
	}
	if utf8.RuneCountInString(n.function) > maxNameLength {
		return n, invalid("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", n.function, maxNameLength)
	}
	n.region, n.account = h.cfg.Region, req.tenant
	if qualifier == nil {
		return n, nil
	}
	if n.qualifier != "" && n.qualifier != *qualifier {
		return n, invalid("The derived qualifier from the function name does not match the specified qualifier.")
	}
	n.qualifier = *qualifier
	return n, nil
}

// resolveUnqualified is resolve for operations on the function as a whole.
func (h *Handler) resolveUnqualified(req *request, given string) (name, error) {
	n, err := h.resolve(req, given, nil)
	if err == nil && n.qualifier != "" {
		err = invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. " +
			"Please specify either a function name or an unqualified function ARN.")
	}
	return n, err
}

// arn returns the resource name, with the qualifier as it was given.
func (n name) arn() string { return millicent.ARN(n.region, n.account, n.function, n.qualifier) }

// unqualified returns the name of the function as a whole.
func (n name) unqualified() name {
	n.qualifier = ""
	return n
}

// with returns the name with another qualifier.
func (n name) with(qualifier string) name {
	n.qualifier = qualifier
	return n
}

func functionNotFound(n name) error { return notFound("Function not found: %s", n.arn()) }

// function returns the function of a name; missing is the answer when there
// is none.
func (h *Handler) function(n name, missing error) (*millicent.Function, error) {
	f, err := h.cfg.Store.Function(n.account, n.function)
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		return nil, missing
	}
	return f, err
}

// version returns the version that a name stands for, and the alias if it
// stands for one.
func (h *Handler) version(n name) (*millicent.Function, *millicent.Version, *millicent.Alias, error) {
	missing := functionNotFound(n)
	f, err := h.function(n, missing)
	if err != nil {
		return nil, nil, nil, err
	}
	number := n.qualifier
	alias := f.Aliases[n.qualifier]
	switch {
	case n.qualifier == "" || n.qualifier == millicent.Latest:
		return f, f.Draft, nil, nil
	case alias != nil:
		number = alias.Version
	}
	v, err := h.cfg.Store.Version(n.account, n.function, number)
	if millicent.ErrorCode(err) == millicent.CodeNotFound {
		err = missing
	}
	return f, v, alias, err
}

// value returns what p points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// optional returns a pointer to v, nil for the zero value: the member is left
// out then.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// hasVersion reports whether a function has its draft or a published version
// under a number.
func hasVersion(f *millicent.Function, number string) bool {
	if number == millicent.Latest {
		return true
	}
	n, err := strconv.Atoi(number)
	return err == nil && slices.Contains(f.Published, n)
}
