package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// changeLoad is functions that are created, updated, published and deleted.
type changeLoad struct {
	mu        sync.Mutex
	functions map[string]*deployed
	n         int
}

// deployed is what the server acknowledged of a function.
type deployed struct {
	sha      string            // of its code; empty when it is deleted
	versions map[string]string // digests by number
	open     bool              // a change has no answer: it may have been made or not
}

func newChangeLoad() *changeLoad { return &changeLoad{functions: map[string]*deployed{}} }

func (l *changeLoad) work(ctx context.Context, c *crashes) {
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				l.mu.Lock()
				l.n++
				name, short, f := fmt.Sprint("crash-", l.n), l.n%3 == 0, &deployed{versions: map[string]string{}}
				l.functions[name] = f
				l.mu.Unlock()
				if !f.live(ctx, c.server, name, short) {
					return
				}
			}
		})
	}
	all.Wait()
}

// live takes a function through its life; false when the server is gone.
func (f *deployed) live(ctx context.Context, s *server, name string, short bool) bool {
	steps := []func(context.Context, *server, string) error{f.create, f.update, f.publish, f.update}
	if short {
		steps = append(steps, f.remove)
	}
	for _, step := range steps {
		f.open = true
		err := step(ctx, s, name)
		var busy *types.ResourceConflictException // it becomes active
		if err != nil && !errors.As(err, &busy) {
			return false
		}
		f.open = false
	}
	return true
}

func (f *deployed) code(s *server, name string) []byte {
	return zipOf(s.t, map[string]string{"app.py": fmt.Sprintf("def handler(e, c):\n    return '%s %s'\n", name, f.sha)})
}

func (f *deployed) create(ctx context.Context, s *server, name string) error {
	out, err := s.sdk().CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String(role), Runtime: types.RuntimePython311,
		Handler: aws.String("app.handler"), Code: &types.FunctionCode{ZipFile: f.code(s, name)},
	})
	if err == nil {
		f.sha = *out.CodeSha256
	}
	return err
}

func (f *deployed) update(ctx context.Context, s *server, name string) error {
	out, err := s.sdk().UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: &name, ZipFile: f.code(s, name)})
	if err == nil {
		f.sha = *out.CodeSha256
	}
	return err
}

func (f *deployed) publish(ctx context.Context, s *server, name string) error {
	out, err := s.sdk().PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: &name})
	if err == nil {
		f.versions[*out.Version] = *out.CodeSha256
	}
	return err
}

func (f *deployed) remove(ctx context.Context, s *server, name string) error {
	_, err := s.sdk().DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &name})
	if err == nil {
		f.sha = ""
	}
	return err
}

func (l *changeLoad) worth() int {
	there := 0
	for _, f := range l.functions {
		if f.sha != "" {
			there++
		}
	}
	return there / 2
}

// check compares what was acknowledged with what the server lists, and runs
// one of each ten.
func (l *changeLoad) check(c *crashes) string {
	have := map[string]map[string]string{}
	pages := lambda.NewListFunctionsPaginator(c.sdk(), &lambda.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		for _, f := range page.Functions {
			if have[*f.FunctionName] == nil {
				have[*f.FunctionName] = map[string]string{}
			}
			have[*f.FunctionName][*f.Version] = *f.CodeSha256
		}
	}
	acked, versions, lost := 0, 0, 0
	for name, f := range l.functions {
		got := have[name]
		gone := f.sha == ""
		if !gone {
			acked++
			versions += len(f.versions)
		}
		if ok := f.right(got); !ok {
			lost++
			c.t.Errorf("function %s: acknowledged %+v, there is %v", name, *f, got)
			continue
		}
		if !gone && got != nil && acked%10 == 1 {
			c.waitActive(name)
			c.invoke(name, `{}`)
		}
	}
	return fmt.Sprintf("deploys: %d functions and %d versions acknowledged, %d not as they were", acked, versions, lost)
}

// right reports whether the versions of a function that are there agree with
// what was acknowledged.
func (f *deployed) right(got map[string]string) bool {
	if got == nil || f.sha == "" {
		return (got == nil) == (f.sha == "") || f.open
	}
	for number, sha := range f.versions {
		if got[number] != sha {
			return false
		}
	}
	return got["$LATEST"] == f.sha || f.open
}
