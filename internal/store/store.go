package store

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/millicent-run/millicent"
)

// Config configures a Store.
type Config struct {
	Dir string           // directory of the package files
	Now func() time.Time // nil means time.Now
	Log *slog.Logger
}

// Store keeps functions, versions, aliases, URLs, access keys and packages.
type Store struct{}

// Open opens the buckets, loads everything into memory, and resumes the
// activations that a crash cut off.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Store, error) {
	panic("not built")
}

// Close stops the watches and the activation.
func (s *Store) Close() error { panic("not built") }

// Function returns a function by tenant and name, from memory. The error is
// an *millicent.Error with CodeNotFound.
func (s *Store) Function(tenant, name string) (*millicent.Function, error) { panic("not built") }

// Functions returns a tenant's functions sorted by name, from memory.
func (s *Store) Functions(tenant string) []*millicent.Function { panic("not built") }

// Version returns the draft or a published version, from memory.
func (s *Store) Version(tenant, name, number string) (*millicent.Version, error) {
	panic("not built")
}

// Resolve returns the version that serves an invocation of a qualifier ("",
// Latest, a number or an alias), from memory. draw, from [0, 1), chooses
// between an alias's two versions. When there is none the error has
// CodeNotFound and the Invoke API's text.
func (s *Store) Resolve(tenant, name, qualifier string, draw float64) (*millicent.Version, error) {
	panic("not built")
}

// FunctionByURL returns the function and URL of a URL id, from memory.
func (s *Store) FunctionByURL(id string) (*millicent.Function, *millicent.FunctionURL, error) {
	panic("not built")
}

// Create stores a new function and starts its activation. CodeConflict when
// it exists. Durable on return, like every change below.
func (s *Store) Create(ctx context.Context, f *millicent.Function) (*millicent.Function, error) {
	panic("not built")
}

// Update changes a function: change gets a copy that it may modify and is
// called again when another change came between. An error from change is
// returned as it is and nothing is stored.
func (s *Store) Update(ctx context.Context, tenant, name string, change func(*millicent.Function) error) (*millicent.Function, error) {
	panic("not built")
}

// Publish stores the draft as a new numbered version, unless it equals the
// newest one, which is returned then. check runs first, on the current value.
func (s *Store) Publish(ctx context.Context, tenant, name, description string, check func(*millicent.Function) error) (*millicent.Version, error) {
	panic("not built")
}

// DeleteVersion deletes a published version. CodeConflict when an alias names
// it.
func (s *Store) DeleteVersion(ctx context.Context, tenant, name, number string) error {
	panic("not built")
}

// Delete deletes a function with all its versions.
func (s *Store) Delete(ctx context.Context, tenant, name string) error { panic("not built") }

// OnChange calls f after each change of a function, in order, with the value
// before (nil when created) and after (nil when deleted). f must not block.
func (s *Store) OnChange(f func(before, after *millicent.Function)) { panic("not built") }

// PutPackage stores a zip file and returns its name and size. It is durable
// on return. More than limit bytes give an error with the code
// RequestEntityTooLargeException.
func (s *Store) PutPackage(ctx context.Context, zip io.Reader, limit int64) (millicent.Package, error) {
	panic("not built")
}

// OpenPackage opens a stored zip file.
func (s *Store) OpenPackage(p millicent.Package) (io.ReadCloser, error) { panic("not built") }

// PackageDir returns the directory of a package's unpacked files, which it
// makes if need be. The files are read-only and may be in use for as long as
// an environment runs them.
func (s *Store) PackageDir(ctx context.Context, p millicent.Package) (string, error) {
	panic("not built")
}

// An AccessKey signs requests for a tenant.
type AccessKey struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret"`
	Tenant  string    `json:"tenant"`
	Created time.Time `json:"created"`
}

// CreateKey makes and stores a new access key.
func (s *Store) CreateKey(ctx context.Context, tenant string) (AccessKey, error) { panic("not built") }

// Key returns an access key by its id, from memory.
func (s *Store) Key(id string) (AccessKey, bool) { panic("not built") }

// Keys returns all access keys, sorted by creation.
func (s *Store) Keys() []AccessKey { panic("not built") }

// DeleteKey deletes an access key; CodeNotFound when there is none.
func (s *Store) DeleteKey(ctx context.Context, id string) error { panic("not built") }
