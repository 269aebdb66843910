// Package egress decides where functions may connect to, and carries the
// connections: a policy proxy for TCP and a name server, both listening
// inside a sandbox's network namespace and connecting from outside.
//
// A [Gateway] is shared by all sandboxes of a server; each sandbox brings a
// [Port] with its listeners and calls [Gateway.Serve].
//
// What it guarantees:
//
//   - Loopback, link-local, multicast and unspecified addresses, the metadata
//     addresses of clouds, and the addresses of the host itself are refused in
//     every mode, in every spelling (IPv4 inside IPv6 included), and no
//     allow-list opens them.
//   - A function's allow-list narrows what the server's [Mode] allows and
//     never widens it: the mode belongs to the machine's operator, the list to
//     whoever deploys the function. So a private address is reachable only in
//     mode [All], listed or not.
//   - The decision is taken on the address that is then dialled, never on a
//     name that could be resolved anew; names in an allow-list are enforced
//     through the addresses that this sandbox was given for them.
//   - With an allow-list the name server answers for the names listed, and
//     refuses all others: a query for any name is a message to its owner.
//   - A refused connection is reset. Connections, queries and learned names
//     are bounded per sandbox.
//
// What it cannot do: an allowed name that shares its address with other names,
// as behind a content network, opens that address for all of them; and a
// public address that a router translates back to this host is not known to
// be the host's own, unless [Config.Refuse] lists it.
//
// Sandboxes have no IPv6: queries for AAAA records are answered empty. UDP
// other than DNS is not carried.
package egress
