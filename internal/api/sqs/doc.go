// Package sqs is the SQS API: it decodes requests of both protocols that
// clients speak, AWS JSON 1.0 (POST / with X-Amz-Target: AmazonSQS.Operation)
// and the older query protocol (a form with Action=Operation, answered in
// XML), calls package internal/sqs, and encodes answers and errors in the
// request's own protocol.
//
// The wire types in types.go serve both: their json tags are the members of
// the API, and query tags say how the older protocol names lists and maps.
package sqs
