package lambda

import (
	"bytes"
	"context"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

const (
	maxZipped   = 52428800
	maxUnzipped = 262144000
)

// A PackageSource fetches deployment packages from S3.
type PackageSource interface {
	// Fetch returns an object's content, of at most limit bytes; a version of
	// "" means the newest. Its errors are *millicent.Errors for the caller.
	Fetch(ctx context.Context, bucket, key, version string, limit int64) ([]byte, error)
}

// A code is where a request says that a function's code is.
type code struct {
	zip                  []byte
	bucket, key, version *string
}

// load fetches the code, checks that it is a package, and stores it.
func (h *Handler) load(ctx context.Context, c code) (millicent.Package, error) {
	if c.bucket != nil {
		done, err := take(ctx, h.fetches)
		if err != nil {
			return millicent.Package{}, err
		}
		defer done()
	}
	data, err := h.fetch(ctx, c)
	if err != nil {
		return millicent.Package{}, err
	}
	if err := store.CheckPackage(bytes.NewReader(data), int64(len(data))); err != nil {
		return millicent.Package{}, err
	}
	limit := int64(maxZipped)
	if c.zip == nil {
		limit = maxUnzipped // from S3, what counts is the size unzipped
	}
	return h.cfg.Store.PutPackage(ctx, bytes.NewReader(data), limit)
}

func (h *Handler) fetch(ctx context.Context, c code) ([]byte, error) {
	switch {
	case c.zip != nil:
		if len(c.zip) > maxZipped {
			return nil, millicent.Errorf(codeEntityTooBig, "Zipped size must be smaller than %d bytes", maxZipped)
		}
		return c.zip, nil
	case c.bucket == nil && c.key == nil:
		return nil, invalid("Please provide a source for function code.")
	case c.bucket == nil || c.key == nil:
		return nil, invalid("Please provide both S3Bucket and S3Key for function code.")
	case h.cfg.Packages == nil:
		return nil, invalid("This server fetches no packages from S3: start it with --s3-endpoint, or send the package as ZipFile.")
	}
	return h.cfg.Packages.Fetch(ctx, *c.bucket, *c.key, value(c.version), maxUnzipped)
}
