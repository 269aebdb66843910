// Package native serves millicent's own endpoints, those that the Lambda API
// has no word for. All answers are JSON; errors look like the Lambda API's.
//
//	GET    /_millicent/health                    {"status":"ok"}; needs no signature
//	GET    /_millicent/info                      version, account, region, …: see Info
//	GET    /_millicent/runtimes                  {"runtimes":[Runtime, …]}
//	GET    /_millicent/logs?function=NAME        NDJSON, one millicent.LogRecord a line, oldest first;
//	           &since=RFC3339 &limit=N           newest N (default 1000, at most 10000)
//	           &follow=1                         goes on until the client hangs up; each line is flushed.
//	                                             With Accept: text/event-stream each record is a server-sent event
//	GET    /_millicent/functions                 {"functions":[Function, …]}, with how each does
//	GET    /_millicent/functions/{name}          FunctionDetail, with the steps of the last ten minutes
//	GET    /_millicent/invocations?function=NAME {"invocations":[millicent.Explanation, …]}, the latest first;
//	           &limit=N                          default 50, at most 1000
//	GET    /_millicent/invocations/{id}          millicent.Explanation: what the invocation waited for, and its start,
//	           ?function=NAME                    in words, too ("verdict", "advice"); finds an old one sooner
//	GET    /_millicent/starts?function=NAME      {"starts":[millicent.Explanation, …]}, the latest first;
//	           &limit=N                          default 20, at most 1000
//	GET    /_millicent/queues                    {"queues":[millicent.EventQueue, …]}: events that have not ended, by function
//	GET    /_millicent/deadletters?function=NAME {"deadLetters":[millicent.DeadLetter, …]}, without bodies, by number;
//	           &after=NUMBER &limit=N            default 100, at most 1000
//	GET    /_millicent/functions/{name}/deadletters/{number}   millicent.DeadLetter, with its body
//	POST   /_millicent/functions/{name}/deadletters            {"replay":true,"all":true,"numbers":[N, …],"dryRun":true}: runs them
//	                                             again, or without replay removes them; answers which, as above
//	           ?queue=NAME                       in place of function: messages of a dead-letter queue, empty for all such queues;
//	                                             /_millicent/queues/{name}/deadletters then stands for the two above,
//	                                             and a replay moves messages back to where they come from
//	GET    /_millicent/ledger/head               meter.Head: the end of the ledger of usage
//	GET    /_millicent/ledger/verify             meter.Report: whether the whole ledger is as it was written; for the
//	           ?anchor=SEQ:HASH                  server's own account and the admin socket; anchor: a head that was noted, may be repeated
//	POST   /_millicent/ledger/skip?group=N       {"groups":[N, …]}: has a damaged group left out of all sums; on the admin socket
//	           &to=M                             those from N to M that are damaged
//	GET    /_millicent/ledger/records?after=N    NDJSON, one {"group":N,"number":N,"usage":meter.UsageText} a line, oldest first: the
//	           &all=1                            account's records in groups after one; all: of all accounts, on the admin socket
//	GET    /_millicent/receipts/{id}             PricedReceipt of an invocation; the admin socket may name another &tenant=ACCOUNT
//	           ?attempt=N                        of that run of an asynchronous event; of the latest otherwise
//	POST   /_millicent/keys                      201 Key, with its secret: shown here and never again
//	GET    /_millicent/keys                      {"keys":[Key without secret, …]}
//	DELETE /_millicent/keys/{id}                 204
//	GET    /_millicent/functions/{name}/egress   {"allow":["example.com:443", …]}; empty: as the server allows
//	PUT    /_millicent/functions/{name}/egress   the same in the body; answers what is stored
//	GET    /_millicent/budgets                   {"budgets":[millicent.BudgetStatus, …],"storms":[millicent.Storm, …]}
//	PUT    /_millicent/budgets                   millicent.Budget in the body, its owner aside: sets it; answers its millicent.BudgetStatus
//	DELETE /_millicent/budgets?id=ID             204
//	POST   /_millicent/functions/{name}/resume   204: ends a pause of the storm breaker
//	GET    /_millicent/usage?function=NAME       {"currency":"USD","rows":[UsageRow, …]}: sums of usage; also &alias= &key= &tag=KEY=VALUE
//	           &from=RFC3339 &to=RFC3339         default the last day; whole minutes of the last 3 days, hours of the last 400, days
//	           &each=minute|hour|day|month       such steps apart
//	           &by=function,tag:KEY              and these: tenant, function, alias, key, memory, tag, book, tag:KEY
//	GET    /_millicent/invoices/{2026-11}        billing.Invoice; &format=csv or html
//	           ?book=NAME                        Repriced: the invoice, and what it would be by another price book
//	POST   /_millicent/invoices/{2026-11}        the same by the price book in the body, as YAML
//	GET    /_millicent/export/focus/{2026-11}    the month as a FOCUS 1.2 dataset, in CSV
//	GET    /_millicent/rightsize?function=NAME   {"reports":[billing.SizeReport, …]}: what functions would cost at other memory sizes
//	GET    /_millicent/prices                    {"books":[Book, …]}
//	GET    /_millicent/packages/{token}          the zip file; the token is its own permission, and expires
//
// Where calls must be signed (--auth sigv4) these are too, except as noted; a
// caller on the admin socket need not sign and may name another tenant in
// POST keys and PUT budgets, {"tenant":"123456789012"}, and in the other calls
// about budgets, usage and bills, ?tenant=123456789012, or for usage ?tenant=all.
package native
