// Package escape attacks the sandbox as a hostile tenant would: from inside
// functions in Python and in native code, through the API of a real server.
//
// While an attack runs, another tenant's function, the victim, is invoked all
// the time and has to answer right; when it is over, nothing may be left of
// it. docs/security.md says what each test shows.
package escape
