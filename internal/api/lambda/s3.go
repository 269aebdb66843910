package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/millicent-run/millicent"
)

// S3Config says where an S3-compatible store is.
type S3Config struct {
	Endpoint    string // URL
	Region      string
	Credentials aws.CredentialsProvider
}

// S3 fetches packages from an S3-compatible store.
type S3 struct{ client *s3.Client }

// NewS3 returns an S3. Buckets are addressed in the path, which needs no names
// of their own.
func NewS3(cfg S3Config) *S3 {
	return &S3{client: s3.New(s3.Options{
		BaseEndpoint: aws.String(cfg.Endpoint),
		Region:       cfg.Region,
		Credentials:  cfg.Credentials,
		UsePathStyle: true,
	})}
}

// fetchTime is how long a store may take to deliver a package.
const fetchTime = 5 * time.Minute

// Fetch implements PackageSource.
func (s *S3) Fetch(ctx context.Context, bucket, key, version string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(version)}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		return nil, fetchError(err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	if err != nil {
		return nil, fetchError(err)
	}
	if int64(len(data)) > limit {
		return nil, invalid("Unzipped size must be smaller than %d bytes", limit)
	}
	return data, nil
}

// fetchError words a failure of the store as Lambda does. Two messages are
// AWS's own, whatever the store says; all others are the store's.
func fetchError(err error) error {
	var api smithy.APIError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &millicent.Error{
			Code:    millicent.CodeInvalid,
			Message: fmt.Sprintf("Error occurred while GetObject. The S3 store of --s3-endpoint did not deliver the package within %d minutes.", fetchTime/time.Minute),
			Err:     err,
		}
	case !errors.As(err, &api):
		return &millicent.Error{
			Code:    millicent.CodeInvalid,
			Message: "Error occurred while GetObject. The S3 store of --s3-endpoint could not be reached.",
			Err:     err,
		}
	}
	message := api.ErrorMessage()
	switch api.ErrorCode() {
	case "NoSuchBucket":
		message = "The specified bucket does not exist"
	case "NoSuchKey":
		message = "The specified key does not exist."
	}
	return &millicent.Error{
		Code:    millicent.CodeInvalid,
		Message: "Error occurred while GetObject. S3 Error Code: " + api.ErrorCode() + ". S3 Error Message: " + message,
		Err:     err,
	}
}
