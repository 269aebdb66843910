package billing

import _ "embed" // of the books

//go:embed books/default.yaml
var defaultText []byte

//go:embed books/hardware.yaml
var hardwareText []byte

// Embedded returns the text of the books that come with the program, by name:
// default, which is in force where no other is chosen, and hardware, whose
// prices follow from what a machine costs.
func Embedded(name string) (text []byte, ok bool) {
	switch name {
	case "default":
		return defaultText, true
	case "hardware":
		return hardwareText, true
	}
	return nil, false
}

// Default returns the embedded book default.
func Default() *Book {
	b, err := Parse(defaultText)
	if err != nil {
		panic("billing: the embedded price book: " + err.Error()) // a test reads it
	}
	return b
}

// Hardware returns the embedded book hardware.
func Hardware() *Book {
	b, err := Parse(hardwareText)
	if err != nil {
		panic("billing: the embedded price book: " + err.Error()) // a test reads it
	}
	return b
}
