package millicent

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDelayTravels(t *testing.T) {
	want := Delay{
		Wait: Wait{For: WaitRoom, Time: 1500 * time.Microsecond, Before: 700 * time.Microsecond},
		Start: &StartRecord{
			Cause: StartAfterEviction, From: FromRuntime, Acquire: 1 * time.Microsecond, Attach: 2 * time.Microsecond,
			Boot: 3 * time.Microsecond, Init: 4 * time.Microsecond, FirstByte: 5 * time.Microsecond, Memory: 6,
			Environment: "2026/11/23/[1]00", Runtime: "python3.13", Others: 7, Gone: 8 * time.Second, For: "other",
		},
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const wire = `{"wait":{"for":"room","timeUs":1500,"beforeUs":700},"start":{"cause":"after-eviction","from":"runtime",` +
		`"acquireUs":1,"attachUs":2,"bootUs":3,"initUs":4,"totalUs":10,"firstByteUs":5,"memoryBytes":6,` +
		`"environment":"2026/11/23/[1]00","runtime":"python3.13","others":7,"goneUs":8000000,"for":"other"}}`
	if string(b) != wire {
		t.Errorf("got  %s\nwant %s", b, wire)
	}
	var got Delay
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Wait != want.Wait || *got.Start != *want.Start {
		t.Errorf("got %+v %+v, want %+v %+v", got.Wait, *got.Start, want.Wait, *want.Start)
	}
	if b, err := json.Marshal(Delay{}); err != nil || string(b) != `{}` {
		t.Errorf("nothing travels as %s, %v", b, err)
	}
}

func FuzzDelay(f *testing.F) {
	f.Add([]byte(`{"wait":{"for":"busy","timeUs":1},"start":{"from":"nothing","initUs":9223372036854775807}}`))
	f.Add([]byte(`{"wait":{"timeUs":-1}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var d, again Delay
		if json.Unmarshal(in, &d) != nil {
			return
		}
		durations := []time.Duration{d.Wait.Time, d.Wait.Before}
		if r := d.Start; r != nil {
			durations = append(durations, r.Acquire, r.Attach, r.Boot, r.Init, r.FirstByte, r.Gone, r.Total())
		}
		for _, took := range durations {
			if took < 0 {
				t.Fatalf("a negative duration of %s: %v", in, took)
			}
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &again); err != nil || again.Wait != d.Wait || (d.Start == nil) != (again.Start == nil) ||
			d.Start != nil && *again.Start != *d.Start {
			t.Fatalf("%s became %+v, %v", b, again, err)
		}
	})
}
