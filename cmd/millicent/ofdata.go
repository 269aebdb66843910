package main

import (
	"errors"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millicent-run/millicent/internal/server"
)

// A dataFlag names a data directory, whose usage a command is about: it then
// acts as the operator of the server that runs on it or, where none does, reads
// it itself.
type dataFlag struct{ dir string }

func (d *dataFlag) add(f *pflag.FlagSet) {
	f.StringVar(&d.dir, "data", "", "data `directory` on this machine, of a server that runs or was stopped: act as its operator")
}

type runE = func(cmd *cobra.Command, args []string) error

// ofData returns run for the data directory that a flag names, if it names one.
func (c *cli) ofData(d *dataFlag, run runE) runE {
	return func(cmd *cobra.Command, args []string) (err error) {
		if d.dir == "" {
			return run(cmd, args)
		}
		socket := filepath.Join(d.dir, adminSocket)
		var dialer net.Dialer
		conn, failed := dialer.DialContext(cmd.Context(), "unix", socket)
		if failed == nil {
			conn.Close() // that it could be made is all there is to know
			c.endpoint = "unix:" + socket
			return run(cmd, args)
		}
		stopped, err := server.OpenStopped(cmd.Context(), d.dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopped.Close()) }()
		c.endpoint = "unix:" + stopped.Socket
		return run(cmd, args)
	}
}
