// Package store keeps functions, versions, aliases, URLs, access keys and packages.
package store
