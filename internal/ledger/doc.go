// Package ledger answers what was used and what it cost: a projection of the
// stream of usage records into sums, kept in an SQLite file.
//
// The stream is the truth. The file has, for each minute, hour, day and month
// (UTC) and each series, the sums of the records that began in it. A series
// is what bills are told apart by: tenant, function, alias, access key, memory
// size, tags and price book. The sums are whole numbers: the quantities that
// prices multiply, and what the records' receipts add up to. So they add up
// exactly, in any order, and another price book needs no records.
//
// The number of the last group that the file knows is written in the same
// transaction as its sums: no group counts twice or is left out, whenever the
// process ends. A file that is missing, damaged, of another format, or of
// another stream is made again from the stream.
//
// The file also knows where records are: see [Ledger.Find].
//
// Bounds: a tenant has maxSeries series; what is beyond counts for the tenant,
// under the function [Other]. Minutes are kept for 3 days, hours for 400; days
// and months stay.
package ledger
