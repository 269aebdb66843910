// Package api is the listener's handler: it gives each request its id, says
// whom it comes from, sends it to the API that it is for, and turns errors
// into answers.
//
//	request ─► Handler.ServeHTTP   id, deadlines, panics, access log     handler.go
//	             function URL?     by host or by path                    api/url
//	             foreign page?     a browser's request from elsewhere    foreign.go
//	             Auth.Identify     whom it comes from                    auth.go, signature.go
//	             authorize         what a function may ask               authorize.go
//	             route             Lambda API, native, metrics           api/lambda, api/native
//	             answer            error → status and body               errors.go
//
// Whom a request comes from is decided by how it came:
//
//   - From inside a sandbox (its context carries a millicent.Caller): from
//     that function. No header is believed, and it may only invoke.
//   - By the admin socket (Handler.Operator): from the owner of the data
//     directory.
//   - Else with Auth.Verified, by its signature. Without, anyone on this
//     machine is believed; but not a web page that a browser on this machine
//     shows.
package api
