package process

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millicent-run/millicent/internal/lifecycle"
)

func frame(kind uint32, at int64, message string) []byte {
	b := binary.BigEndian.AppendUint32(nil, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	return append(b, message...)
}

// decodeFrames feeds data in pieces of the given size.
func decodeFrames(data []byte, piece int) (messages []string, times []time.Time) {
	d := frameDecoder{emit: func(at time.Time, m string) {
		messages = append(messages, m)
		times = append(times, at)
	}}
	for len(data) > 0 {
		n := min(piece, len(data))
		d.write(data[:n])
		data = data[n:]
	}
	d.flush()
	return messages, times
}

func TestFramesBecomeOneRecordEachHoweverTheyArrive(t *testing.T) {
	data := frame(0xa55a0003, 1_700_000_000_000_000, "one\ntwo")
	data = append(data, frame(0xa55a0002|12, 1_700_000_000_000_001, `{"level":"INFO"}`)...)
	data = append(data, frame(0xa55a0003, 0, "")...)
	data = append(data, frame(0xa55a0003, 2, "three")...)
	for _, piece := range []int{1, 3, 16, 17, 1 << 20} {
		got, times := decodeFrames(data, piece)
		if diff := cmp.Diff([]string{"one\ntwo", `{"level":"INFO"}`, "three"}, got); diff != "" {
			t.Errorf("pieces of %d: %s", piece, diff)
		}
		if want := time.UnixMicro(1_700_000_000_000_000); !times[0].Equal(want) {
			t.Errorf("got time %v, want %v", times[0], want)
		}
	}
}

func TestLongFrameIsSplitAtCharacters(t *testing.T) {
	message := strings.Repeat("é", lifecycle.MaxRecord) // two bytes each, so twice the bound
	got, _ := decodeFrames(frame(0xa55a0003, 0, "x"+message), 1000)
	if strings.Join(got, "") != "x"+message {
		t.Error("the records do not add up to the message")
	}
	for _, m := range got {
		if len(m) > lifecycle.MaxRecord {
			t.Errorf("got a record of %d bytes, want at most %d", len(m), lifecycle.MaxRecord)
		}
		if strings.ContainsRune(m, '\uFFFD') {
			t.Error("a character was cut")
		}
	}
}

func TestWhatIsNoFrameIsReadAsLines(t *testing.T) {
	data := append(frame(0xa55a0003, 0, "ok"), "hello from a function\nand more\n"...)
	got, _ := decodeFrames(data, 7)
	if diff := cmp.Diff([]string{"ok", "hello from a function", "and more"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnfinishedFrameIsKept(t *testing.T) {
	data := frame(0xa55a0003, 0, "complete message")
	got, _ := decodeFrames(data[:len(data)-8], 5)
	if diff := cmp.Diff([]string{"complete"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLinesAreSplitAndBounded(t *testing.T) {
	var got []string
	d := lifecycle.Lines{Emit: func(m string) { got = append(got, m) }}
	d.Write([]byte("a\n\nb"))
	d.Write([]byte("c\rd\n"))
	d.Write([]byte(strings.Repeat("x", lifecycle.MaxRecord+1)))
	d.Flush()
	d.Flush()
	want := []string{"a", "", "bc\rd", strings.Repeat("x", lifecycle.MaxRecord), "x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzFrameDecoder(f *testing.F) {
	f.Add(frame(0xa55a0003, 5, "text"), 3)
	f.Add(append(frame(0xa55a0002, 5, "{}"), "junk\n"...), 1)
	f.Add([]byte{0xa5, 0x5a, 0, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 'x'}, 16)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if piece < 1 {
			piece = 1
		}
		got, _ := decodeFrames(data, piece)
		whole, _ := decodeFrames(data, len(data)+1)
		if diff := cmp.Diff(whole, got); diff != "" {
			t.Errorf("the records depend on how the bytes arrive: %s", diff)
		}
		total := 0
		for _, m := range got {
			total += len(m)
			if len(m) > lifecycle.MaxRecord {
				t.Errorf("record of %d bytes", len(m))
			}
		}
		if total > len(data) {
			t.Errorf("%d bytes out of %d", total, len(data))
		}
	})
}
