package javascript

// A Bundle is a function's code as one ES module.
type Bundle struct {
	Name string // of the module, in stack traces
	Code []byte
}

// Locate returns a stack trace with places of the function's files.
func (b *Bundle) Locate(stack string) string { return stack }
