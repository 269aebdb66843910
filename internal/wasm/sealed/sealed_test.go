package sealed

import (
	"slices"
	"testing"
)

func TestSeal(t *testing.T) {
	file := Seal(map[string]int{"a": 1}, []byte("some "), []byte("content"))
	head := map[string]int{}
	content, ok := Open(file, &head)
	if !ok || string(content) != "some content" || head["a"] != 1 {
		t.Fatalf("%q, head %v (%v)", content, head, ok)
	}
	for i := range file {
		if _, ok := Open(file[:i], &head); ok {
			t.Errorf("its first %d bytes are taken for it", i)
		}
		changed := slices.Clone(file)
		changed[i] ^= 1
		if _, ok := Open(changed, &head); ok {
			t.Errorf("byte %d was changed, unseen", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(Seal(1, []byte("content")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		var head any
		if content, ok := Open(file, &head); ok && len(content) > len(file) {
			t.Error("it has more content than bytes")
		}
	})
}
