// The program init is the first process of a sandbox and nothing else: a
// small program that starts fast. It is embedded in millicent.
package main

import "github.com/millicent-run/millicent/internal/sandbox/initproc"

func main() { initproc.Main() }
