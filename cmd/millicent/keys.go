package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
)

// adminSocket is the name of the socket in a data directory.
const adminSocket = "admin.sock"

func (c *cli) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list and delete access keys",
		Long: `Create, list and delete the access keys that calls are signed with.

On the server's machine the owner of its data directory needs no key: --data
names the directory, and without it, when no endpoint is given, the default
one is tried first. Elsewhere the calls go to the endpoint, signed like all
others.`,
		Example: `  millicent keys create
  millicent keys create --data ./data --account 123456789012
  millicent keys list
  millicent keys delete AKML...`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var data string
	cmd.PersistentFlags().StringVar(&data, "data", "", "data `directory` of a server on this machine")
	connect := func() (*client.Client, error) { return c.adminClient(data) }
	cmd.AddCommand(c.keysCreateCommand(connect), c.keysListCommand(connect), c.keysDeleteCommand(connect))
	return cmd
}

// adminClient returns a client of the admin socket of a data directory, or of
// the endpoint when that was given or there is no socket.
func (c *cli) adminClient(data string) (*client.Client, error) {
	given := c.givenEndpoint()
	switch {
	case data != "":
		return newClient("unix:" + filepath.Join(data, adminSocket))
	case given != "":
		return newClient(given)
	}
	socket := filepath.Join(dataDir(), adminSocket)
	if _, err := os.Stat(socket); err == nil {
		return newClient("unix:" + socket)
	}
	return newClient("")
}

func (c *cli) keysCreateCommand(connect func() (*client.Client, error)) *cobra.Command {
	var account string
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make an access key, and print it",
		Long:    "Make an access key, and print it as the shell reads it. The secret is shown\nnow and never again.",
		Example: "  millicent keys create\n  eval \"$(millicent keys create)\"\n  millicent keys create --json > key.json",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := connect()
			if err != nil {
				return err
			}
			key, err := api.CreateKey(cmd.Context(), account)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c.out, key)
			}
			_, err = fmt.Fprintf(c.out, "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", key.ID, key.Secret)
			return err
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "account `id` that the key belongs to (default the server's)")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) keysListCommand(connect func() (*client.Client, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the access keys, without their secrets",
		Example: "  millicent keys list",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.keysList(cmd.Context(), connect) },
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) keysList(ctx context.Context, connect func() (*client.Client, error)) error {
	api, err := connect()
	if err != nil {
		return err
	}
	keys, err := api.Keys(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, keys)
	}
	if len(keys) == 0 {
		_, err := fmt.Fprintln(c.err, "no keys yet: `millicent keys create` makes one")
		return err
	}
	var rows [][]string
	for _, k := range keys {
		rows = append(rows, []string{k.ID, k.Tenant, k.Created.Local().Format(time.DateTime)})
	}
	return printTable(c.out, []string{"KEY", "ACCOUNT", "CREATED"}, rows, nil)
}

func (c *cli) keysDeleteCommand(connect func() (*client.Client, error)) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID",
		Aliases: []string{"rm"},
		Short:   "Delete an access key: calls signed with it are refused from now on",
		Example: "  millicent keys delete AKML...",
		Args:    wantArgs(1, 1, "one key ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := connect()
			if err != nil {
				return err
			}
			return api.DeleteKey(cmd.Context(), args[0])
		},
	}
}
