// Package scheduler is the EventBridge Scheduler API: REST with JSON bodies.
// It decodes and checks requests, calls package internal/schedule, and encodes
// answers and errors in the API's form.
//
// Beyond AWS, the tag operations take the ARN of a schedule, too, and the tag
// millicent:catch-up of a schedule or a group says what happens to times that
// passed while the server was down.
package scheduler
