package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// formatVersion is the version of the values in all buckets; see
// docs/formats/store.md.
const formatVersion = 1

// maxValue bounds an encoded value, well below the largest message that the
// state server takes.
const maxValue = 4 << 20

// functionRecord is the value of a function. The numbers of the published
// versions are kept as the keys of Versions alone.
type functionRecord struct {
	Format   int                 `json:"format"`
	Versions map[string]string   `json:"versions,omitempty"` // id of the version record, by number
	Function *millicent.Function `json:"function"`
}

// versionRecord is the value of a published version.
type versionRecord struct {
	Format int `json:"format"`

	// DraftDescription is the draft's description at the time of publishing,
	// which tells whether the draft has changed since: the version may have
	// been given another one.
	DraftDescription string             `json:"draftDescription,omitempty"`
	Version          *millicent.Version `json:"version"`
}

// packageRecord is the value of a package, under its digest.
type packageRecord struct {
	Format  int                  `json:"format"`
	Size    int64                `json:"size"`
	Created time.Time            `json:"created"`
	Holders map[string]time.Time `json:"holders"` // by node, since when
}

// keyRecord is the value of an access key, under its id.
type keyRecord struct {
	Format int       `json:"format"`
	Key    AccessKey `json:"key"`
}

func encode(record any) ([]byte, error) {
	b, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if len(b) > maxValue {
		return nil, millicent.Errorf(millicent.CodeInvalid, "The function's configuration must be smaller than %d bytes.", maxValue)
	}
	return b, nil
}

// decode decodes a value of a known format. An unknown format is named before
// anything else that is wrong with the value.
func decode(b []byte, record any, format *int) error {
	err := json.Unmarshal(b, record)
	if err != nil {
		var probe struct{ Format int }
		if json.Unmarshal(b, &probe) == nil {
			*format = probe.Format
		}
	}
	if *format > formatVersion {
		return fmt.Errorf("format %d, written by a newer millicent; this one knows formats up to %d", *format, formatVersion)
	}
	if err != nil {
		return err
	}
	if *format < 1 {
		return fmt.Errorf("format %d is none", *format)
	}
	return nil
}

func encodeFunction(f *millicent.Function, versions map[string]string) ([]byte, error) {
	c := *f
	c.Published = nil
	return encode(functionRecord{Format: formatVersion, Versions: versions, Function: &c})
}

// decodeFunction returns a function and the ids of its version records.
func decodeFunction(b []byte) (*millicent.Function, map[string]string, error) {
	var r functionRecord
	if err := decode(b, &r, &r.Format); err != nil {
		return nil, nil, err
	}
	f := r.Function
	if f == nil || f.Draft == nil {
		return nil, nil, errors.New("it holds no function")
	}
	if !validName(f.Tenant) || !validName(f.Name) {
		return nil, nil, fmt.Errorf("tenant %q or name %q is none", f.Tenant, f.Name)
	}
	f.Published = nil
	for number, id := range r.Versions {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > f.LastVersion || strconv.Itoa(n) != number || !validName(id) {
			return nil, nil, fmt.Errorf("version %q with id %q is none", number, id)
		}
		f.Published = append(f.Published, n)
	}
	slices.Sort(f.Published)
	for name, a := range f.Aliases {
		if a == nil {
			return nil, nil, fmt.Errorf("alias %q is none", name)
		}
	}
	for qualifier, p := range f.Provisioned {
		if p == nil || p.Concurrency < 1 {
			return nil, nil, fmt.Errorf("provisioned concurrency of %q is none", qualifier)
		}
	}
	for qualifier, e := range f.Events {
		if e == nil {
			return nil, nil, fmt.Errorf("event configuration of %q is none", qualifier)
		}
	}
	for qualifier, u := range f.URLs {
		if u == nil {
			return nil, nil, fmt.Errorf("URL of %q is none", qualifier)
		}
	}
	for qualifier, statements := range f.Policies {
		if slices.Contains(statements, nil) {
			return nil, nil, fmt.Errorf("a statement of %q is none", qualifier)
		}
	}
	return f, r.Versions, nil
}

func decodeVersion(b []byte) (versionRecord, error) {
	var r versionRecord
	if err := decode(b, &r, &r.Format); err != nil {
		return versionRecord{}, err
	}
	if r.Version == nil || !millicent.IsNumber(r.Version.Number) {
		return versionRecord{}, errors.New("it holds no version")
	}
	return r, nil
}

func decodePackage(b []byte) (packageRecord, error) {
	var r packageRecord
	err := decode(b, &r, &r.Format)
	return r, err
}

func decodeKey(b []byte) (AccessKey, error) {
	var r keyRecord
	if err := decode(b, &r, &r.Format); err != nil {
		return AccessKey{}, err
	}
	if r.Key.ID == "" || r.Key.Secret == "" {
		return AccessKey{}, errors.New("it holds no access key")
	}
	return r.Key, nil
}

// validName reports whether s can be one part of a bucket key: 1 to 64 of
// [a-zA-Z0-9-_], which all tenants and function names are.
func validName(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
