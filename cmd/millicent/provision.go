package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent/client"
)

// provisionPoll is how often a server is asked how far it has come.
const provisionPoll = 50 * time.Millisecond

func (c *cli) provisionCommand() *cobra.Command {
	var async bool
	cmd := &cobra.Command{
		Use:   "provision [NAME[:QUALIFIER] [N]]",
		Short: "Keep N environments of a function initialised",
		Long: `Keep N environments of a function initialised, so that N invocations at a time
meet no cold start: provisioned concurrency.

It is for the version or the alias that QUALIFIER names; without one, the draft
is published as a version first, and N is for that. N = 0 ends it. Without N,
print what there is.`,
		Example: `  millicent provision hello:live 2    # for an alias, also when it moves
  millicent provision hello 2         # publish a version, and call it by its number
  millicent provision hello:live 0
  millicent provision hello`,
		Args:              wantArgs(0, 2, "a function NAME[:QUALIFIER], and the number N of environments"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, qualifier, _ := strings.Cut(strings.Join(args[:min(len(args), 1)], ""), ":")
			if len(args) < 2 {
				return c.showProvisioned(cmd.Context(), name, qualifier)
			}
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 {
				return &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("N is a number of environments, not %q", args[1])}
			}
			return c.provision(cmd.Context(), name, qualifier, n, async)
		},
	}
	cmd.Flags().BoolVar(&async, "async", false, "do not wait until they are there")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) provision(ctx context.Context, name, qualifier string, n int, async bool) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if n == 0 {
		return c.unprovision(ctx, api, name, qualifier)
	}
	if qualifier == "" {
		if qualifier, err = api.Publish(ctx, name); err != nil {
			return err
		}
	}
	if err := api.PutProvisioned(ctx, name, qualifier, n); err != nil {
		return err
	}
	p, err := awaitProvisioned(ctx, api, name, qualifier, async)
	if err != nil {
		return err
	}
	switch {
	case c.json:
		err = printJSON(c.out, p)
	case p.Status == client.ProvisionedInProgress:
		_, err = fmt.Fprintf(c.out, "%s:%s: %d are on their way\n", name, qualifier, n)
	case p.Status == client.ProvisionedReady:
		_, err = fmt.Fprintf(c.out, "%s:%s: %d ready\n", name, qualifier, n)
	}
	if err == nil && p.Status == client.ProvisionedFailed {
		err = fmt.Errorf("%s:%s: %s (`millicent logs %s` may tell more)", name, qualifier, p.Reason, name)
	}
	return err
}

// awaitProvisioned waits until the environments are there, or will not be.
func awaitProvisioned(ctx context.Context, api *client.Client, name, qualifier string, async bool) (client.Provisioned, error) {
	tick := time.NewTicker(provisionPoll)
	defer tick.Stop()
	for {
		found, err := provisionedOf(ctx, api, name, qualifier)
		switch {
		case err != nil:
			return client.Provisioned{}, err
		case len(found) == 0:
			return client.Provisioned{}, fmt.Errorf("%s:%s is not provisioned any more", name, qualifier)
		case async || found[0].Status != client.ProvisionedInProgress || found[0].Reason != "":
			return found[0], nil
		}
		select {
		case <-ctx.Done():
			return client.Provisioned{}, ctx.Err()
		case <-tick.C:
		}
	}
}

// provisionedOf returns what is provisioned, of one function unless name is
// empty, and under one qualifier unless that is.
func provisionedOf(ctx context.Context, api *client.Client, name, qualifier string) ([]client.Provisioned, error) {
	all, err := api.Provisioned(ctx)
	if err != nil {
		return nil, err
	}
	found := []client.Provisioned{}
	for _, p := range all {
		if (name == "" || p.Function == name) && (qualifier == "" || p.Qualifier == qualifier) {
			found = append(found, p)
		}
	}
	return found, nil
}

func (c *cli) unprovision(ctx context.Context, api *client.Client, name, qualifier string) error {
	ends := []client.Provisioned{{Qualifier: qualifier}}
	if qualifier == "" {
		if _, err := api.Function(ctx, name); err != nil {
			return err
		}
		var err error
		if ends, err = provisionedOf(ctx, api, name, ""); err != nil {
			return err
		}
	}
	for _, p := range ends {
		if err := api.DeleteProvisioned(ctx, name, p.Qualifier); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) showProvisioned(ctx context.Context, name, qualifier string) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	found, err := provisionedOf(ctx, api, name, qualifier)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, found)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(c.err, "nothing is provisioned")
		return err
	}
	var rows [][]string
	for _, p := range found {
		rows = append(rows, []string{p.Function + ":" + p.Qualifier, strconv.Itoa(p.Requested), strconv.Itoa(p.Available), p.Reason, p.Status})
	}
	return printTable(c.out, []string{"NAME", "REQUESTED", "AVAILABLE", "REASON", "STATUS"}, rows, provisionedColour)
}

func provisionedColour(status string) colour {
	switch status {
	case client.ProvisionedReady:
		return green
	case client.ProvisionedInProgress:
		return yellow
	}
	return red
}

// provisionedCells returns what the list shows, by function.
func provisionedCells(all []client.Provisioned) map[string]string {
	cells := map[string]string{}
	for _, p := range all {
		cell := fmt.Sprintf("%s %d/%d", p.Qualifier, p.Available, p.Requested)
		if before := cells[p.Function]; before != "" {
			cell = before + ", " + cell
		}
		cells[p.Function] = cell
	}
	return cells
}
