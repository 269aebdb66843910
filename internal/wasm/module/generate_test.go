package module_test

import (
	"math/rand/v2"
	"testing"

	"github.com/millicent-run/millicent/internal/wasm/module"
)

// generator makes a module out of any bytes: three functions of a few hundred
// instructions, which compute with two parameters, two locals, a global and a
// page of memory, and end. Function n calls those below it, directly or through a table.
type generator struct {
	choices []byte
	body    []byte
	self    int // the function that is made
	blocks  int // open around what is made, that may be left
	deep    int
	budget  int // statements
}

// pick returns a number below n; zero when the choices are used up.
func (g *generator) pick(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := g.choices[0]
	g.choices = g.choices[1:]
	return int(c) % n
}

func (g *generator) op(bytes ...byte) { g.body = append(g.body, bytes...) }

// Locals: two parameters, then a number, and the turns of loops by depth.
const (
	locals    = 3
	turns     = locals
	mostDeep  = 5
	mostTurns = 5
)

// number pushes an i32.
func (g *generator) number(depth int) {
	if depth == 0 {
		g.op(append([]byte{0x41}, signed(int64(int8(g.pick(256))))...)...)
		return
	}
	switch g.pick(10) {
	case 0, 1:
		g.op(0x20, byte(g.pick(locals)))
	case 2:
		g.op(0x23, 0) // the global
	case 3, 4: // an operation of two numbers, among them those that trap
		g.number(depth - 1)
		g.number(depth - 1)
		g.op(byte(0x6a + g.pick(15)))
	case 5: // a comparison
		g.number(depth - 1)
		g.number(depth - 1)
		g.op(byte(0x46 + g.pick(10)))
	case 6: // through 64 bits
		g.number(depth - 1)
		g.op(0xac)
		g.number(depth - 1)
		g.op(0xad, byte(0x7c+g.pick(3)), 0xa7)
	case 7:
		g.place(depth-1, 0xff, 0xff, 3)
		g.op(0x28, 2, byte(g.pick(100)))
	case 8:
		g.number(depth - 1)
		g.number(depth - 1)
		g.number(depth - 1)
		g.op(0x1b) // select
	case 9:
		g.call(depth)
	}
}

// place pushes a number below a mask: a place in the memory, but for one of 16.
func (g *generator) place(depth int, mask ...byte) {
	g.number(depth)
	if g.pick(16) != 15 {
		g.op(append(append([]byte{0x41}, mask...), 0x71)...) // and
	}
}

// call calls a function below this one, or by the table.
func (g *generator) call(depth int) {
	if g.self == 0 {
		g.op(0x3f, 0) // memory.size
		return
	}
	g.number(depth - 1)
	g.number(depth - 1)
	callee := byte(g.pick(g.self))
	if g.pick(2) == 0 {
		g.op(0x10, callee)
		return
	}
	g.op(0x41, callee, 0x11, 0, 0)
}

// statements makes some.
func (g *generator) statements() {
	for range 1 + g.pick(4) {
		if g.budget == 0 {
			return
		}
		g.budget--
		g.statement()
	}
}

func (g *generator) statement() {
	if g.deep == mostDeep {
		g.number(2)
		g.op(0x21, byte(g.pick(locals)))
		return
	}
	g.deep++
	defer func() { g.deep-- }()
	switch g.pick(10) {
	case 0, 1:
		g.number(3)
		g.op(0x21, byte(g.pick(locals)))
	case 2:
		g.number(2)
		g.op(0x24, 0)
	case 3: // store where there is memory
		g.place(2, 0xff, 0xff, 3)
		g.number(2)
		g.op(0x36, 2, 0)
	case 4: // a loop of a few turns, with a part that may be skipped
		turn := byte(turns + g.deep - 1)
		g.op(0x41, 0, 0x21, turn, 0x03, 0x40, 0x02, 0x40)
		g.within(1)
		g.op(0x0b, 0x20, turn, 0x41, 1, 0x6a, 0x22, turn, 0x41, byte(1+g.pick(mostTurns)), 0x49, 0x0d, 0, 0x0b)
	case 5:
		g.number(2)
		g.op(0x04, 0x40)
		g.within(1)
		g.op(0x05)
		g.within(1)
		g.op(0x0b)
	case 6: // leave a block
		if g.blocks > 0 {
			g.number(2)
			g.op(0x0d, 0)
		}
	case 7: // leave one of two
		g.op(0x02, 0x40, 0x02, 0x40)
		g.number(2)
		g.op(0x0e, 1, 0, 1, 0x0b)
		g.within(1)
		g.op(0x0b)
	case 8: // fill or copy, more than a part at times
		g.place(1, 0xff, 0xff, 0x3f)
		g.place(1, 0xff, 0xff, 0x3f)
		g.op(0x41, byte(1+g.pick(3)), 0x41, byte(g.pick(21)), 0x74) // shl
		g.op([][]byte{{0xfc, 11, 0}, {0xfc, 10, 0, 0}}[g.pick(2)]...)
	case 9:
		g.op(0x41, byte(g.pick(3)), 0x40, 0, 0x21, 2) // memory.grow
	}
}

// within makes statements in so many more blocks.
func (g *generator) within(blocks int) {
	g.blocks += blocks
	g.statements()
	g.blocks -= blocks
}

// module makes one.
func (g *generator) module() []byte {
	pair, one := string([]byte{i32, i32}), string([]byte{i32})
	local := string([]byte{i32, i32, i32, i32, i32, i32})
	s := (&source{}).memory(32).part(4, 0x70, 0, 3).part(6, i32, 1, 0x41, 5, 0x0b).part(9, 0, 0x41, 0, 0x0b, 2, 0, 1).
		part(11, 0, 0x41, 8, 0x0b, 4, 'a', 'b', 'c', 'd')
	for g.self = range 3 {
		g.body, g.budget = nil, 40
		g.statements()
		g.number(2)
		s.function(pair, one, local, g.body...)
	}
	return s.bytes()
}

// compareGenerated runs a generated module before and after it was rewritten.
func compareGenerated(t *testing.T, choices []byte) {
	code := (&generator{choices: choices}).module()
	m := newMachine(t)
	if m.start(code) == nil {
		t.Fatalf("%x makes %x, which is no module", choices, code)
	}
	m.refuel = 50
	m.compare(code, "f2", []uint64{0, 1}, []uint64{7, 0xffff_fff0})
}

// TestGenerated compares some.
func TestGenerated(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 150 {
		choices := make([]byte, 400)
		_, _ = random.Read(choices) // never fails
		compareGenerated(t, choices)
	}
}

// FuzzRewrite compares modules that are made of any bytes.
func FuzzRewrite(f *testing.F) {
	f.Add([]byte("loops, branches, calls, and memory that is filled and grows"))
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) < 4096 {
			compareGenerated(t, choices)
		}
	})
}

// TestImages tells what an image of memory and numbers cannot hold.
func TestImages(t *testing.T) {
	table := func() *source { return (&source{}).memory(1).part(4, 0x70, 0, 3) }
	elements := func() *source { return table().part(9, 1, 0, 0) }
	data := func() *source { return table().part(11, 1, 1, 'x').part(12, 1) }
	three := []byte{0x41, 0, 0x41, 0, 0x41, 0}
	with := func(s *source, code ...byte) *source { return s.function("", "", "", code...) }
	for name, c := range map[string]struct {
		source  *source
		changes bool
	}{
		"table.get":    {with(table(), 0x41, 0, 0x25, 0, 0x1a), false},
		"table.size":   {with(table(), 0xfc, 16, 0, 0x1a), false},
		"table.set":    {with(table(), 0x41, 0, 0xd0, 0x70, 0x26, 0), true},
		"table.init":   {with(elements(), append(three, 0xfc, 12, 0, 0)...), true},
		"elem.drop":    {with(elements(), 0xfc, 13, 0), true},
		"table.copy":   {with(table(), append(three, 0xfc, 14, 0, 0)...), true},
		"table.grow":   {with(table(), 0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a), true},
		"table.fill":   {with(table(), 0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 17, 0), true},
		"memory.init":  {with(data(), append(three, 0xfc, 8, 0, 0)...), false},
		"data.drop":    {with(data(), 0xfc, 9, 0), true},
		"memory.fill":  {with(table(), append(three, 0xfc, 11, 0)...), false},
		"a number":     {table().part(6, f64, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b), false},
		"a vector":     {table().part(6, append([]byte{v128, 1, 0xfd, 12}, append(make([]byte, 16), 0x0b)...)...), true},
		"a constant":   {table().part(6, append([]byte{v128, 0, 0xfd, 12}, append(make([]byte, 16), 0x0b)...)...), false},
		"a reference":  {table().part(6, 0x70, 1, 0xd0, 0x70, 0x0b), true},
		"of the host":  {table().part(6, 0x6f, 1, 0xd0, 0x6f, 0x0b), true},
		"not a change": {table().part(6, 0x6f, 0, 0xd0, 0x6f, 0x0b), false},
	} {
		t.Run(name, func(t *testing.T) {
			code := c.source.bytes()
			if newMachine(t).start(code) == nil {
				t.Fatalf("%x is no module", code)
			}
			m, err := module.Parse(code)
			if err != nil {
				t.Fatal(err)
			}
			if m.ChangesTables != c.changes {
				t.Errorf("it changes what no image holds: %v", m.ChangesTables)
			}
		})
	}
}
