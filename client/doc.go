// Package client calls a millicent server: the part of the Lambda API that a
// deployment needs, and millicent's own endpoints. The millicent command is
// its first user. Programs that speak to AWS Lambda already need none of it:
// they set AWS_ENDPOINT_URL.
//
//	c, err := client.New(client.Config{Endpoint: "http://127.0.0.1:4566"})
//	...
//	res, err := c.Invoke(ctx, client.Invocation{Function: "hello", Payload: []byte(`{}`)})
//
// A server's refusal is a *millicent.Error with its code and message; no
// answer at all is an *[Unreachable]. A Client is safe for concurrent use.
package client
