package escape

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"golang.org/x/sys/unix"

	"github.com/millicent-run/millicent/e2e/millicenttest"
)

// smallDisk makes a file system of so many MB and returns a directory in it.
func smallDisk(t *testing.T, mb int64) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(mb << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	dir := t.TempDir()
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return filepath.Join(dir, "data")
}

// TestMachinesDisk writes more to /tmp than is left of the machine's disk,
// where the platform keeps its own: the sandbox ends before the disk is full,
// and all the while the platform takes deployments, and starts them.
func TestMachinesDisk(t *testing.T) {
	const disk = 4000
	a := newArena(t, millicenttest.Up(t, millicenttest.Config{Data: smallDisk(t, disk)}))
	fn := a.attacker(with(1769, 2*disk, 120))
	done := make(chan struct{})
	a.during(func() {
		go func() {
			defer close(done)
			a.fails(a.call(fn, map[string]any{"do": "fill", "path": "/tmp/x", "n": 2 * disk}), killed)
		}()
		for n := 0; ; n++ {
			later := fmt.Sprintf("%s-%d", name(t, "later"), n)
			a.Create(t, &lambda.CreateFunctionInput{
				FunctionName: &later, Runtime: types.RuntimePython311, Handler: aws.String("app.handler"),
				Code: &types.FunctionCode{ZipFile: millicenttest.Zip(t, map[string]string{"app.py": victimCode})},
			})
			if got := a.Invoke(t, later, `{"nonce":"x"}`); got.Error != "" {
				t.Errorf("a function deployed meanwhile answers %+v", got)
			}
			select {
			case <-done:
				t.Logf("%d functions were deployed meanwhile", n+1)
				return
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
	a.alive(fn)
	if free := freeDisk(t, a.Data); free < disk/2<<20 {
		t.Errorf("afterwards %d MB are free", free>>20)
	}
}

// freeDisk returns the bytes that are free where a path is.
func freeDisk(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}
