// Package sqs is the queue service: message queues as SQS defines them,
// standard and FIFO, with delays, visibility, deduplication and dead letters.
// Package api/sqs speaks its protocols; event source mappings and destinations
// use it from inside.
//
// Definitions are in a catalog, messages in package queue. What Send and
// Delete report as done is durable.
//
// Where SQS leaves freedom, this service takes the stricter side: a message is
// received by one receiver at a time, in the order of sending (those that come
// back alternate with the new), and counts are exact. Changes of an attribute
// act at once; a new retention applies to messages sent from then on.
package sqs
