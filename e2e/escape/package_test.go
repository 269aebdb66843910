package escape

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// TestPackageLinks deploys links that lead out of the package, directly and by
// way of each other: they are not there.
func TestPackageLinks(t *testing.T) {
	a := open(t)
	link := func(target string) millicenttest.File {
		return millicenttest.File{Mode: fs.ModeSymlink | 0o777, Content: target}
	}
	files := map[string]millicenttest.File{
		"attacker.py": {Content: attackerPython},
		"su":          {Mode: 0o755 | fs.ModeSetuid | fs.ModeSetgid, Content: "#!/bin/sh\n"},
		"dir/file":    {Content: "x"},
		"inside":      link("attacker.py"),
		"absolute":    link("/etc/shadow"),
		"data":        link(a.Data),
		"up":          link("../../../../../../etc/shadow"),
		"dir/up":      link("../.."),
		"a":           link("dir"),
		"b":           link("a/.."),
		"c":           link("b/../.."),
		"self":        link("self"),
		"ring1":       link("ring2"),
		"ring2":       link("ring1"),
		"proc":        link("/proc/self/root"),
	}
	fn := a.make("package", &lambda.CreateFunctionInput{
		Runtime: types.RuntimePython311, Handler: aws.String("attacker.handler"),
		Code: &types.FunctionCode{ZipFile: millicenttest.ZipFiles(t, files)},
	}, nil)
	a.during(func() {
		a.tryAs(fn, []attempt{
			{Op: "exec", Arg: "find /var/task -type l | sort | tr '\\n' ' '", want: "ok: 0 /var/task/a /var/task/b /var/task/inside /var/task/ring2"},
			{Op: "exec", Arg: "find /var/task ! -type l -perm /7022", want: "ok: 0"},
			{Op: "exec", Arg: "find /var/task ! -user 0", want: "ok: 0"},
			{Op: "read", Arg: "/var/task/ring2", want: "ENOENT"}, // what it led to was left out
			{Op: "exec", Arg: "cd -P /var/task/b && pwd", want: "ok: 0 /var/task"},
		})
	})
}

// TestPackageNames deploys files whose names lead out of the package, and
// packages that are more than they seem: each is refused.
func TestPackageNames(t *testing.T) {
	a := open(t)
	for name, zip := range map[string][]byte{
		"up":             millicenttest.Zip(t, map[string]string{"../../escaped.py": "x"}),
		"within":         millicenttest.Zip(t, map[string]string{"a/../../escaped.py": "x"}),
		"absolute":       millicenttest.Zip(t, map[string]string{"/tmp/millicent-escaped.py": "x"}),
		"zero byte":      millicenttest.Zip(t, map[string]string{"app.py\x00.txt": "x"}),
		"a file and dir": millicenttest.Zip(t, map[string]string{"a": "x", "a/b": "y"}),
		"a bomb":         millicenttest.Zip(t, map[string]string{"bomb": strings.Repeat("\x00", 263<<20)}),
		"no zip":         []byte("#!/bin/sh\n"),
		"nothing":        millicenttest.Zip(t, nil),
	} {
		_, err := a.SDK().CreateFunction(t.Context(), &lambda.CreateFunctionInput{
			FunctionName: aws.String("refused"), Role: aws.String(millicenttest.Role),
			Runtime: types.RuntimePython311, Handler: aws.String("app.handler"), Code: &types.FunctionCode{ZipFile: zip},
		})
		var invalid *types.InvalidParameterValueException
		if !errors.As(err, &invalid) {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			a.Delete(t, "refused")
		}
	}
}
