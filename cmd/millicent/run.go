package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

// A cli is one run of the command: where it reads and writes, and the flags
// that all subcommands share.
type cli struct {
	in       io.Reader
	out, err io.Writer

	endpoint string // --endpoint
	json     bool   // --json
}

// run runs the command line. The error is nil, or what explain turns into
// the line to print.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	c := &cli{in: stdin, out: stdout, err: stderr}
	root := c.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// command returns the root command with all others below it.
func (c *cli) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "millicent",
		Short: "Serverless on your own machines",
		Long: `Millicent runs functions on your own machines: a piece of code in, an
endpoint out. It speaks the AWS Lambda API.

The commands that call a server find it at --endpoint, else at
$MILLICENT_ENDPOINT, else at $AWS_ENDPOINT_URL, else at ` + client.DefaultEndpoint + `.
They sign their calls when $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY are
set, for the region of $AWS_REGION.`,
		Example: `  millicent up                        # the platform; Ctrl-C stops it
  millicent deploy ./hello            # a folder in, a URL out
  millicent invoke hello --payload '{"name":"you"}'
  millicent logs -f hello`,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&c.endpoint, "endpoint", "", "`address` of the server, like "+client.DefaultEndpoint)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd: cmd.CommandPath(), message: err.Error()}
	})
	root.AddCommand(
		c.upCommand(), c.deployCommand(), c.invokeCommand(), c.listCommand(), c.logsCommand(), c.explainCommand(),
		c.urlCommand(), c.provisionCommand(), c.queueCommand(), c.dlqCommand(), c.scheduleCommand(), c.budgetCommand(), c.deleteCommand(), c.egressCommand(), c.runtimesCommand(), c.keysCommand(),
		c.billCommand(), c.invoiceCommand(), c.exportCommand(), c.pricesCommand(), c.rightsizeCommand(),
		c.ledgerCommand(), c.receiptCommand(), c.inspectCommand(), c.versionCommand(),
	)
	return root
}

// A usageError is a command line that makes no sense.
type usageError struct{ cmd, message string }

func (e *usageError) Error() string {
	return fmt.Sprintf("%s (see `%s --help`)", e.message, e.cmd)
}

// unknownCommand refuses arguments of a command that only has subcommands.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	message := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{cmd: cmd.CommandPath(), message: message}
}

// wantArgs checks the number of arguments; names says what they are.
func wantArgs(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &usageError{cmd: cmd.CommandPath(), message: "want " + names}
		case most >= 0 && len(args) > most:
			return &usageError{cmd: cmd.CommandPath(), message: fmt.Sprintf("unexpected argument %q, want %s", args[most], names)}
		}
		return nil
	}
}

// jsonFlag adds --json to a command.
func (c *cli) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON, for programs")
}

// client returns a client of the server that flags and environment name.
func (c *cli) client() (*client.Client, error) {
	return newClient(c.givenEndpoint())
}

// givenEndpoint returns the endpoint that flags or environment name, or "".
func (c *cli) givenEndpoint() string {
	for _, s := range []string{c.endpoint, os.Getenv("MILLICENT_ENDPOINT"), os.Getenv("AWS_ENDPOINT_URL")} {
		if s != "" {
			return s
		}
	}
	return ""
}

func newClient(endpoint string) (*client.Client, error) {
	region := os.Getenv("AWS_REGION")
	if region == "" {
		region = os.Getenv("AWS_DEFAULT_REGION")
	}
	cfg := client.Config{Endpoint: endpoint, Region: region}
	if id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"); id != "" && secret != "" {
		cfg.AccessKeyID, cfg.SecretAccessKey, cfg.SessionToken = id, secret, os.Getenv("AWS_SESSION_TOKEN")
	}
	return client.New(cfg)
}

// exitCode returns the code for an error: 2 for a command line that makes no
// sense, 130 for one that was interrupted, 1 for all else.
func exitCode(err error) int {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return 2
	case errors.Is(err, context.Canceled):
		return 130
	}
	return 1
}

// explain turns an error into what the user can do about it.
func explain(err error) string {
	var down *client.Unreachable
	if errors.As(err, &down) {
		if errors.Is(down, syscall.ECONNREFUSED) || errors.Is(down, fs.ErrNotExist) {
			return fmt.Sprintf("no server at %s: start one with `millicent up`", down.Endpoint)
		}
		return fmt.Sprintf("no answer from %s: %v", down.Endpoint, down.Err)
	}
	var refused *millicent.Error
	if !errors.As(err, &refused) {
		return err.Error()
	}
	text := strings.TrimSuffix(refused.Message, ".")
	if reason := refused.Detail["Reason"]; reason != "" {
		text += ": " + reason
	}
	text += " (" + refused.Code + ")"
	switch refused.Code {
	case "MissingAuthenticationTokenException", "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException":
		text += "\nThis server wants signed calls: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.\n" +
			"`millicent keys create`, run on its machine, makes a key."
	}
	return text
}
