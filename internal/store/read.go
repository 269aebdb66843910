package store

import "github.com/millicent-run/millicent"

// Function returns a function by tenant and name, from memory. The error is
// an *millicent.Error with CodeNotFound.
func (s *Store) Function(tenant, name string) (*millicent.Function, error) {
	if f := s.index.function(functionID{tenant, name}); f != nil {
		return f.value, nil
	}
	return nil, s.notFound(tenant, name, "")
}

// Functions returns a tenant's functions sorted by name, from memory. The
// slice is shared and must not be modified.
func (s *Store) Functions(tenant string) []*millicent.Function { return s.index.list(tenant) }

// EachFunction calls f with the functions of all tenants, from memory, in no
// order. f must not block.
func (s *Store) EachFunction(f func(*millicent.Function)) { s.index.each(f) }

// Version returns the draft ("" or Latest) or a published version, from
// memory. The error has CodeNotFound.
func (s *Store) Version(tenant, name, number string) (*millicent.Version, error) {
	id := functionID{tenant, name}
	if number == "" || number == millicent.Latest {
		if f := s.index.function(id); f != nil {
			return f.value.Draft, nil
		}
	} else if v := s.index.version(id, number); v != nil {
		return v.Version, nil
	}
	return nil, s.notFound(tenant, name, number)
}

// Resolve returns the version that serves an invocation of a qualifier ("",
// Latest, a number or an alias), from memory. draw, from [0, 1), chooses
// between an alias's two versions. When there is none the error has
// CodeNotFound and the Invoke API's text.
func (s *Store) Resolve(tenant, name, qualifier string, draw float64) (*millicent.Version, error) {
	if v := s.index.resolve(functionID{tenant, name}, qualifier, draw); v != nil {
		return v, nil
	}
	if qualifier == "" {
		qualifier = millicent.Latest
	}
	return nil, s.notFound(tenant, name, qualifier)
}

// FunctionByURL returns the function and URL of a URL id, from memory. The
// error has CodeNotFound.
func (s *Store) FunctionByURL(id string) (*millicent.Function, *millicent.FunctionURL, error) {
	if f, u := s.index.url(id); u != nil {
		return f, u, nil
	}
	return nil, nil, millicent.Errorf(millicent.CodeNotFound, "The resource you requested does not exist.")
}

func (s *Store) notFound(tenant, name, qualifier string) error {
	return millicent.Errorf(millicent.CodeNotFound, "Function not found: %s",
		millicent.ARN(s.cfg.Region, tenant, name, qualifier))
}
