// Package millicent is the vocabulary of millicent, a serverless platform
// that runs on your own machines: the nouns of the product in the field's own
// words, one word per thing. It does no I/O and depends on the standard
// library alone; every other package of the module speaks it.
//
// Read it in this order: a [Function] has [Version]s and [Alias]es; an
// [Invocation] of one of them is served by an [Environment], which a
// [Launcher] starts; the outcome is a [Result] with its [Usage], or an
// [Error] when the platform itself could not serve the call. A function that
// ran and failed is a Result, never an error: that one distinction keeps
// billing, retries and status codes straight.
package millicent
