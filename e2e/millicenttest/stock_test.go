package millicenttest

import "testing"

func TestReadStock(t *testing.T) {
	got := ReadStock(`# HELP millicent_prepared_sandboxes Sandboxes that are prepared.
# TYPE millicent_prepared_sandboxes gauge
millicent_prepared_sandboxes{kind="bare"} 2
millicent_prepared_sandboxes{kind="nodejs20.x"} 3
millicent_prepared_sandboxes{kind="python3.11"} 4
millicent_changing_sandboxes 5
millicent_zygotes 1
millicent_spare_disks 6
process_open_fds 44
`)
	want := Stock{Bare: 2, Booted: 7, Python: 4, Zygotes: 1, Changing: 5, SpareDisks: 6}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n := got.Disks(); n != 16 {
		t.Errorf("%d disks, want 16", n)
	}
	if n := got.Processes(); n != 18 {
		t.Errorf("%d processes, want 18", n)
	}
}
