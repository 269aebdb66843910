// Package server builds the platform out of its parts and runs it. It is the
// only package that knows all of them.
//
// Everything that outlives a server is in its data directory:
//
//	DATA/standalone/   the state engine's files
//	DATA/packages/     deployed code, by content
//	DATA/logs/         the functions' logs
//	DATA/run/          scratch: unpacked code, bootstraps, /tmp images; remade at start
//	DATA/secret        key of the functions' own credentials and of download links
//	DATA/admin.sock    the API for the directory's owner, without signatures
//
// One server at a time uses a data directory.
package server
