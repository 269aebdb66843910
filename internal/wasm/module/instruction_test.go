package module_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// operands are numbers of all types where instructions differ.
var operands = []uint64{
	0, 1, 2, 3, 31, 33, 127, 128, 255, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
	0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, math.MaxUint64,
	uint64(math.Float32bits(1.5)), uint64(math.Float32bits(-2.25)), uint64(math.Float32bits(float32(math.Inf(1)))), uint64(math.Float32bits(3e9)),
	math.Float64bits(1.5), math.Float64bits(-2.25), math.Float64bits(math.Inf(-1)), math.Float64bits(1e19), math.Float64bits(0.5),
}

// pairs are parameters for a function of so many.
func pairs(n int) (calls [][]uint64) {
	for i, a := range operands {
		params := []uint64{a, operands[(i*7+3)%len(operands)], operands[(i*11+5)%len(operands)], operands[(i*13+1)%len(operands)],
			a * 3, ^a}
		calls = append(calls, params[:n])
	}
	return calls
}

// wrapped returns a function around an instruction: numbers come as
// parameters, vectors as two of them.
func wrapped(instruction []byte, params string, result byte) (*source, int) {
	var types string
	var body []byte
	local := func() byte { return byte(len(types) - 1) }
	for _, p := range []byte(params) {
		if p != v128 {
			types += string(p)
			body = append(body, 0x20, local())
			continue
		}
		types += string([]byte{i64, i64})
		body = append(body, 0x20, local()-1, 0xfd, 18, 0x20, local(), 0xfd, 30, 1) // i64x2.splat, replace_lane 1
	}
	body = append(body, instruction...)
	results := string(result)
	switch result {
	case 0:
		results = ""
	case v128:
		v := byte(len(types))
		results = string([]byte{i64, i64})
		body = append(body, 0x21, v, 0x20, v, 0xfd, 29, 0, 0x20, v, 0xfd, 29, 1) // i64x2.extract_lane
	}
	return (&source{}).memory(1).function(types, results, string([]byte{v128}), body...), len(types)
}

// shapes are the types that instructions have.
func shapes(types []byte) (all []struct {
	params string
	result byte
}) {
	add := func(result byte, params ...byte) {
		all = append(all, struct {
			params string
			result byte
		}{string(params), result})
	}
	for _, result := range append([]byte{0}, types...) {
		for _, a := range types {
			add(result, a)
			for _, b := range types {
				add(result, a, b)
			}
			add(result, a, a, a)
		}
	}
	return all
}

// TestInstructions runs every instruction that computes something, before and
// after rewriting. The shape of each is the first with which it is valid.
func TestInstructions(t *testing.T) {
	var all [][]byte
	for op := 0x45; op <= 0xc4; op++ {
		all = append(all, []byte{byte(op)})
	}
	for sub := range byte(8) {
		all = append(all, []byte{0xfc, sub})
	}
	for op := 0x28; op <= 0x3e; op++ { // loads and stores
		all = append(all, []byte{byte(op), 0, 4})
	}
	for sub := range 256 {
		in := append([]byte{0xfd}, leb(sub)...)
		switch {
		case sub <= 11 || sub == 92 || sub == 93:
			in = append(in, 0, 3)
		case sub == 12:
			in = append(in, []byte("0123456789abcdef")...)
		case sub == 13:
			in = append(in, 0, 31, 2, 29, 4, 27, 6, 25, 8, 23, 10, 21, 12, 19, 14, 17)
		case sub >= 21 && sub <= 34:
			in = append(in, 1)
		case sub >= 84 && sub <= 91:
			in = append(in, 0, 3, 1)
		}
		all = append(all, in)
	}
	numbers, vectors := shapes([]byte{i32, i64, f32, f64}), shapes([]byte{i32, i64, f32, f64, v128})
	vectors = append(vectors, struct {
		params string
		result byte
	}{"", v128})
	m := newMachine(t)
	ran := 0
	for _, in := range all {
		candidates := numbers
		if in[0] == 0xfd {
			candidates = vectors
		}
		for _, s := range candidates {
			source, n := wrapped(in, s.params, s.result)
			if m.start(source.bytes()) == nil {
				continue
			}
			ran++
			t.Run(fmt.Sprintf("%x", in), func(t *testing.T) {
				local := *m
				local.TB = t
				local.compare(source.bytes(), "f0", pairs(n)...)
			})
			break
		}
	}
	// Those of chapters 5.4.3, 5.4.6 and 5.4.7 of the specification, without
	// reserved numbers: 23 of memory, 128 and 8 of numbers, 236 of vectors.
	if want := 23 + 128 + 8 + 236; ran != want {
		t.Errorf("%d instructions were run, of %d", ran, want)
	}
}

// TestPrograms runs small programs whose control flow, calls and tables have
// to survive the change of what functions are called by.
func TestPrograms(t *testing.T) {
	get := func(n byte) []byte { return []byte{0x20, n} }
	set := func(n byte) []byte { return []byte{0x21, n} }
	number := func(n int64) []byte { return append([]byte{0x41}, signed(n)...) }
	body := slices.Concat[[]byte]
	p := string([]byte{i32})
	small := [][]uint64{{0}, {1}, {2}, {3}, {4}, {5}, {9}, {20}}
	for name, c := range map[string]struct {
		source *source
		call   string
	}{
		"a loop": {(&source{}).function(p, p, p, body(number(1), set(1),
			[]byte{0x02, 0x40, 0x03, 0x40}, get(0), []byte{0x45, 0x0d, 1},
			get(1), get(0), []byte{0x6c}, set(1), get(0), number(1), []byte{0x6b}, set(0), []byte{0x0c, 0, 0x0b, 0x0b}, get(1))...), "f0"},
		"recursion": {(&source{}).function(p, p, "", body(get(0), number(2), []byte{0x49, 0x04, i32}, get(0), []byte{0x05},
			get(0), number(1), []byte{0x6b, 0x10, 0}, get(0), number(2), []byte{0x6b, 0x10, 0, 0x6a, 0x0b})...), "f0"},
		"a table of branches": {(&source{}).function(p, p, "", body([]byte{0x02, 0x40, 0x02, 0x40, 0x02, 0x40}, get(0),
			[]byte{0x0e, 2, 0, 1, 2, 0x0b}, number(10), []byte{0x0f, 0x0b}, number(20), []byte{0x0f, 0x0b}, number(30))...), "f0"},
		"a loop with parameters": {(&source{}).part(1, 0x60, 1, i32, 1, i32).function(p, p, "", body(get(0),
			[]byte{0x03, 0}, number(3), []byte{0x6a, 0x22, 0}, get(0), number(50), []byte{0x49, 0x0d, 0, 0x0b})...), "f0"},
		"select and locals": {(&source{}).function(p, p, p+p, body(get(0), []byte{0x22, 1}, number(7), get(0), number(1),
			[]byte{0x71, 0x1b}, []byte{0x22, 2}, get(1), []byte{0x6a}, number(1), get(2), []byte{0x1c, 1, i32, 0x1a}, get(2))...), "f0"},
		"calls by a table": {(&source{}).part(4, 0x70, 0, 3).
			part(9, 0, 0x41, 0, 0x0b, 2, 1, 2).part(9, 4, 0x41, 2, 0x0b, 1, 0xd2, 1, 0x0b).
			function(p, p, "", body(get(0), get(0), number(3), []byte{0x70, 0x11, 1, 0})...).
			function(p, p, "", body(get(0), number(100), []byte{0x6a})...).
			function(p, p, "", body(get(0), number(200), []byte{0x6a})...), "f0"},
		"globals": {(&source{}).part(6, i32, 1, 0x41, 5, 0x0b).part(6, i64, 0, 0x42, 9, 0x0b).
			function(p, p, "", body([]byte{0x23, 0}, get(0), []byte{0x6a, 0x24, 0, 0x23, 0, 0x23, 1, 0xa7, 0x6a})...), "f0"},
		"data and a start function": {(&source{}).memory(1).part(8, 1).
			part(11, 0, 0x41, 0, 0x0b, 4, 'a', 'b', 'c', 'd').part(11, 0, 0x41, 2, 0x0b, 2, 'x', 'y').part(11, 1, 3, 'p', 'q', 'r').part(12, 3).
			function(p, p, "", body(get(0), number(0), number(3), []byte{0xfc, 8, 2, 0}, get(0), []byte{0x28, 0, 0})...).
			function("", "", "", body(number(0), number(65), []byte{0x3a, 0, 0})...), "f0"},
		"memory that grows": {(&source{}).memory(1).
			function(p, p, "", body(get(0), []byte{0x40, 0, 0x1a, 0x3f, 0})...), "f0"},
		"references": {(&source{}).part(9, 3, 0, 1, 1).part(4, 0x70, 0, 2).part(6, 0x70, 0, 0xd2, 1, 0x0b).
			function(p, p, "", body(number(1), []byte{0xd2, 1, 0x26, 0}, number(1), []byte{0x25, 0, 0xd1},
				get(0), number(1), []byte{0x11, 1, 0, 0x6a})...).
			function(p, p, "", body(get(0), number(7), []byte{0x6a})...), "f0"},
		"nothing but a trap": {(&source{}).function(p, p, "", 0x00), "f0"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, refuel := range []int64{1, 1000} { // a yield at every turn, and seldom
				m := newMachine(t)
				m.refuel = refuel
				m.compare(c.source.bytes(), c.call, small...)
			}
		})
	}
}
