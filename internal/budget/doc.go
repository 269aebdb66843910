// Package budget refuses what a tenant's budgets do not cover, before it runs.
//
//	gate := budget.NewGate(budget.GateConfig{…})         // the Invoker's Budget
//	service, err := budget.Open(ctx, budget.Config{Gate: gate, …})
//	defer service.Close()
//
// What it guarantees:
//
//   - What is spent under a budget that stops, and what may be spent by what
//     runs, are never more than its amount: the most that an invocation can
//     cost is reserved, in all budgets that cover it or in none, before it
//     runs; what it sends out, before that is sent. What it did not need is
//     given back at its end. A refused one costs nothing. Three things are
//     beyond that: what a function sends out in its Init phase; what is used
//     without being invoked, such as storage; and what ran already when the
//     budget was set.
//   - A cost belongs to the period in which the use began. What runs across the
//     turn of a period is held against the new one as well, until it is known.
//   - After a start, nothing runs under a budget before what was spent in its
//     period is known from the ledger. What was running when a server was
//     killed has no record and costs nothing, for budgets as for bills.
//   - Each percentage that a budget warns of is told of at least once in its
//     period.
//   - Without budgets, an invocation pays for one atomic load.
//
// # How it works
//
// account.go decides, upon a budget's state and the time; storm.go decides when
// a function is paused; both are pure. gate.go holds the accounts of all
// tenants, and tenant.go those of one, found by what they cover. service.go
// keeps the definitions, and tells accounts what was spent before them: up to a
// record of the ledger, by its number. A record that an account counted itself
// has a number above that, or is taken out again: each counts once. That needs
// records to be recorded before they are counted, and to have their numbers.
//
// # Locks
//
// Each tenant has a lock for its accounts, held for a few additions: nothing
// blocks, and no other lock is taken, meanwhile. Gate.mu and Service.mu are not
// held while another is taken.
package budget
