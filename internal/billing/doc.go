// Package billing says what usage costs. It is pure: it reads price books and
// usage, and knows no clock, file or database.
//
// A usage record becomes [Quantities]: the whole numbers that prices multiply,
// one for each [Item]. A [Book] has a price for each item. So there are two
// ways to a price, and the difference between them is known:
//
//   - [Book.Price] is the charge of one record, and what its receipt says: each
//     item's quantity times its price, rounded half up to 10⁻¹² of the
//     currency's unit, once, and the sum of these amounts.
//   - [Book.Total] is the price of many records' quantities together, each item
//     rounded once.
//
// An invoice owes what its receipts add up to, to the last unit. It shows the
// items by the second way, which anyone can recompute from quantity and price,
// and what the receipts' roundings make together as a line of its own: at most
// half a unit of 10⁻¹² for each item of each receipt. A month that is priced
// again by another book has no receipts, and no such line.
//
// Free quantities and lower prices of large volumes are granted for a tenant's
// calendar month (UTC), so no receipt can know of them: they are credits of
// the invoice. Receipts, and what budgets reserve, are at list prices.
package billing
