package millicenttest

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Role is one that the API takes: it is checked for its form only.
const Role = "arn:aws:iam::000000000000:role/r"

// activeTime is how long a function may take to be active.
const activeTime = time.Minute

// SDK returns a client of the server, which does not retry.
func (s *Server) SDK() *lambda.Client {
	return lambda.New(lambda.Options{
		BaseEndpoint: aws.String(s.URL()),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider(s.KeyID, s.KeySecret, ""),
		Retryer:      aws.NopRetryer{},
		HTTPClient:   s.client,
	})
}

// Create makes a function, waits until it is active, and deletes it with the
// test.
func (s *Server) Create(t testing.TB, in *lambda.CreateFunctionInput) {
	t.Helper()
	if in.Role == nil {
		in.Role = aws.String(Role)
	}
	client := s.SDK()
	if _, err := client.CreateFunction(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Delete(t, *in.FunctionName) })
	w := lambda.NewFunctionActiveV2Waiter(client, func(o *lambda.FunctionActiveV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, time.Second
	})
	if err := w.Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: in.FunctionName}, activeTime); err != nil {
		t.Fatal(err)
	}
}

// Delete deletes a function, unless that has happened already.
func (s *Server) Delete(t testing.TB, name string) {
	t.Helper()
	// The test's own context may have ended: this also runs when it is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	_, err := s.SDK().DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name})
	var gone *types.ResourceNotFoundException
	if err != nil && !errors.As(err, &gone) {
		t.Error(err)
	}
}

// An Answer is what an invocation came to.
type Answer struct {
	Payload string
	Error   string // FunctionError: empty when the function succeeded
	Log     string // the tail
}

// Invoke calls a function and returns its answer, a failed one included.
func (s *Server) Invoke(t testing.TB, name, event string) Answer {
	t.Helper()
	a, err := s.TryInvoke(t, name, event)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TryInvoke is Invoke for calls that the platform may refuse.
func (s *Server) TryInvoke(t testing.TB, name, event string) (Answer, error) {
	t.Helper()
	out, err := s.SDK().Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: &name, Payload: []byte(event), LogType: types.LogTypeTail,
	})
	if err != nil {
		return Answer{}, err
	}
	tail, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	return Answer{string(out.Payload), aws.ToString(out.FunctionError), string(tail)}, err
}

// A File is one of a zip's: its mode (zero means 0644) and its content, which
// is the target of a symbolic link.
type File struct {
	Mode    fs.FileMode
	Content string
}

// Zip returns a zip of the given files. A name that ends in "bootstrap" is
// executable.
func Zip(t testing.TB, files map[string]string) []byte {
	t.Helper()
	all := map[string]File{}
	for name, content := range files {
		f := File{Content: content}
		if filepath.Base(name) == "bootstrap" {
			f.Mode = 0o755
		}
		all[name] = f
	}
	return ZipFiles(t, all)
}

// ZipFiles is Zip with modes.
func ZipFiles(t testing.TB, files map[string]File) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(max(files[name].Mode, 0o644))
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[name].Content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// GoPackage compiles a Go main package to a zip with a bootstrap.
func GoPackage(t testing.TB, pkg string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "bootstrap")
	if err := Build(out, pkg); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return Zip(t, map[string]string{"bootstrap": string(program)})
}
