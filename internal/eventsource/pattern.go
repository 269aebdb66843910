package eventsource

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// A Pattern is an event pattern in the language of EventBridge (Amazon
// EventBridge User Guide, "Creating Amazon EventBridge event patterns"): a
// JSON object of the event's shape, whose leaves are lists of what is allowed.
type Pattern struct{ root node }

// Bounds of a pattern.
const (
	maxPattern = 4096 // bytes
	maxDepth   = 32
	maxStars   = 16 // of a wildcard
)

// node is what an object of the event has to match: all of its fields, and of
// each group of alternatives one.
type node struct {
	fields       map[string]field
	alternatives [][]node
}

// A field is either a nested object or a list of matchers.
type field struct {
	object   *node
	matchers []matcher
}

// A matcher decides about one scalar of an event: nil, bool, float64 or
// string. absent is what it says when there is none.
type matcher struct {
	test   func(v any) bool
	absent bool
}

// ParsePattern parses a pattern.
func ParsePattern(text string) (*Pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("it is larger than %d bytes", maxPattern)
	}
	var tree map[string]any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return nil, err
	}
	n, err := parseNode(tree, maxDepth)
	if err != nil {
		return nil, err
	}
	return &Pattern{n}, nil
}

func parseNode(tree map[string]any, depth int) (n node, err error) {
	if len(tree) == 0 {
		return n, errors.New("an object in it is empty")
	}
	if depth == 0 {
		return n, fmt.Errorf("it is more than %d levels deep", maxDepth)
	}
	n.fields = map[string]field{}
	for name, v := range tree {
		list, isList := v.([]any)
		object, isObject := v.(map[string]any)
		switch {
		case name == "$or" && isList:
			group, err := parseAlternatives(list, depth)
			if err != nil {
				return n, err
			}
			n.alternatives = append(n.alternatives, group)
		case isObject:
			child, err := parseNode(object, depth-1)
			if err != nil {
				return n, err
			}
			n.fields[name] = field{object: &child}
		case isList && len(list) > 0:
			var f field
			for _, item := range list {
				m, err := parseMatcher(item)
				if err != nil {
					return n, fmt.Errorf("%s: %w", name, err)
				}
				f.matchers = append(f.matchers, m)
			}
			n.fields[name] = f
		default:
			return n, fmt.Errorf("%s is neither an object nor a list of at least one value", name)
		}
	}
	return n, nil
}

func parseAlternatives(list []any, depth int) (group []node, err error) {
	if len(list) < 2 {
		return nil, errors.New("$or has fewer than two alternatives")
	}
	for _, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			return nil, errors.New("an alternative of $or is no object")
		}
		n, err := parseNode(object, depth-1)
		if err != nil {
			return nil, err
		}
		group = append(group, n)
	}
	return group, nil
}

func parseMatcher(item any) (matcher, error) {
	object, ok := item.(map[string]any)
	if !ok {
		if _, isList := item.([]any); isList {
			return matcher{}, errors.New("a list in a list")
		}
		return matcher{test: func(v any) bool { return v == item }}, nil
	}
	if len(object) != 1 {
		return matcher{}, errors.New("an operator is an object of one member")
	}
	for operator, arg := range object {
		switch operator {
		case "exists":
			wanted, ok := arg.(bool)
			if !ok {
				return matcher{}, errors.New("exists wants true or false")
			}
			return matcher{test: func(any) bool { return wanted }, absent: !wanted}, nil
		case "anything-but":
			return parseAnythingBut(arg)
		case "numeric":
			return parseNumeric(arg)
		default:
			test, err := textTest(operator, arg)
			return matcher{test: onText(test)}, err
		}
	}
	panic("unreachable: the object has a member")
}

// onText makes a test of texts one of values.
func onText(test func(string) bool) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		return ok && test(s)
	}
}

// textTest returns the test of an operator on texts.
func textTest(operator string, arg any) (func(string) bool, error) {
	if fold, ok := arg.(map[string]any); ok && len(fold) == 1 && (operator == "prefix" || operator == "suffix") {
		if inner, ok := fold["equals-ignore-case"].(string); ok {
			test, err := textTest(operator, strings.ToLower(inner))
			return func(s string) bool { return test(strings.ToLower(s)) }, err
		}
	}
	want, ok := arg.(string)
	if !ok {
		return nil, fmt.Errorf("%s wants a text", operator)
	}
	switch operator {
	case "prefix":
		return func(s string) bool { return strings.HasPrefix(s, want) }, nil
	case "suffix":
		return func(s string) bool { return strings.HasSuffix(s, want) }, nil
	case "equals-ignore-case":
		return func(s string) bool { return strings.EqualFold(s, want) }, nil
	case "wildcard":
		if strings.Contains(want, "**") || strings.Count(want, "*") > maxStars {
			return nil, fmt.Errorf("a wildcard has single stars, at most %d", maxStars)
		}
		return func(s string) bool { return wildcard(strings.Split(want, "*"), s) }, nil
	case "cidr":
		network, err := netip.ParsePrefix(want)
		if err != nil {
			return nil, err
		}
		return func(s string) bool {
			addr, err := netip.ParseAddr(s)
			return err == nil && network.Contains(addr)
		}, nil
	}
	return nil, fmt.Errorf("%s is no operator", operator)
}

// wildcard reports whether s is made of parts with anything between them. The
// parts in between are found as early as they can be, which leaves the most
// for those that follow.
func wildcard(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	s, ok := strings.CutPrefix(s, parts[0])
	for _, p := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, s, ok = strings.Cut(s, p)
	}
	return ok && strings.HasSuffix(s, parts[len(parts)-1])
}

func parseAnythingBut(arg any) (matcher, error) {
	switch arg := arg.(type) {
	case map[string]any:
		if len(arg) != 1 {
			return matcher{}, errors.New("anything-but wants one operator")
		}
		for operator, inner := range arg {
			test, err := anyText(operator, inner)
			return matcher{test: onText(func(s string) bool { return !test(s) })}, err
		}
	case []any:
		for _, item := range arg {
			if !isScalar(item) {
				return matcher{}, errors.New("anything-but wants texts or numbers")
			}
		}
		if len(arg) > 0 {
			return matcher{test: func(v any) bool { return !slices.Contains(arg, v) }}, nil
		}
	case string, float64:
		return matcher{test: func(v any) bool { return v != arg }}, nil
	}
	return matcher{}, errors.New("anything-but wants texts, numbers or an operator")
}

// anyText returns the test of an operator on texts with one argument or a list
// of them, of which any will do.
func anyText(operator string, arg any) (func(string) bool, error) {
	list, ok := arg.([]any)
	if !ok {
		return textTest(operator, arg)
	}
	var tests []func(string) bool
	for _, item := range list {
		test, err := textTest(operator, item)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return func(s string) bool {
		return slices.ContainsFunc(tests, func(test func(string) bool) bool { return test(s) })
	}, nil
}

func isScalar(v any) bool {
	switch v.(type) {
	case string, float64:
		return true
	}
	return false
}

func parseNumeric(arg any) (matcher, error) {
	list, ok := arg.([]any)
	if !ok || len(list) == 0 || len(list)%2 != 0 || len(list) > 4 {
		return matcher{}, errors.New("numeric wants one or two comparisons")
	}
	var tests []func(float64) bool
	for i := 0; i < len(list); i += 2 {
		want, ok := list[i+1].(float64)
		if !ok || math.IsInf(want, 0) {
			return matcher{}, errors.New("numeric compares with numbers")
		}
		var test func(float64) bool
		switch list[i] {
		case "=":
			test = func(v float64) bool { return v == want }
		case "<":
			test = func(v float64) bool { return v < want }
		case "<=":
			test = func(v float64) bool { return v <= want }
		case ">":
			test = func(v float64) bool { return v > want }
		case ">=":
			test = func(v float64) bool { return v >= want }
		default:
			return matcher{}, fmt.Errorf("%v is no comparison", list[i])
		}
		tests = append(tests, test)
	}
	return matcher{test: func(v any) bool {
		n, ok := v.(float64)
		return ok && !slices.ContainsFunc(tests, func(test func(float64) bool) bool { return !test(n) })
	}}, nil
}

// Match reports whether an event matches: a value as encoding/json decodes it.
func (p *Pattern) Match(event any) bool { return p.root.match(event) }

// match matches an object, or of a list of objects any one.
func (n *node) match(v any) bool {
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, n.match)
	}
	object, _ := v.(map[string]any) // nil for what is none: all fields are absent
	for name, f := range n.fields {
		value, ok := object[name]
		if !f.match(value, ok) {
			return false
		}
	}
	for _, group := range n.alternatives {
		if !slices.ContainsFunc(group, func(alt node) bool { return alt.match(v) }) {
			return false
		}
	}
	return true
}

func (f field) match(v any, present bool) bool {
	if f.object != nil {
		return f.object.match(v)
	}
	list, isList := v.([]any)
	if object, ok := v.(map[string]any); ok && object != nil || isList && len(list) == 0 {
		present = false // only scalars are values
	}
	return slices.ContainsFunc(f.matchers, func(m matcher) bool {
		switch {
		case !present:
			return m.absent
		case isList:
			return slices.ContainsFunc(list, m.test)
		}
		return m.test(v)
	})
}

// wants returns whether the pattern says something of a field, and whether
// that is about an object rather than about a scalar.
func (p *Pattern) wants(name string) (object, present bool) {
	f, ok := p.root.fields[name]
	return f.object != nil, ok
}
