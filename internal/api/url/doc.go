// Package url serves function URLs: an HTTP request becomes an event of
// payload format 2.0, and what the function answers becomes the response.
//
// A URL is reached by host, <id>.lambda-url.<region>.<domain>, or by path,
// /_url/<id>/…, for clients without wildcard DNS. What the platform adds to
// an event is what it knows itself: the x-forwarded headers are of the
// connection and never the client's word, and the x-amzn-tls headers are there
// only when the connection has TLS.
package url
