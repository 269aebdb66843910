package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/client"
)

func (c *cli) urlCommand() *cobra.Command {
	var qualifier, auth string
	var byPath, create, stream bool
	cmd := &cobra.Command{
		Use:   "url NAME",
		Short: "Print a function's URL",
		Example: `  millicent url hello
  curl "$(millicent url hello --path)"   # for clients that cannot resolve *.localhost
  millicent url hello --create --auth AWS_IAM
  millicent url hello --stream           # answer while the function writes; --stream=false: once it has`,
		Args:              wantArgs(1, 1, "one function NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if auth != "" && !create {
				return &usageError{cmd: cmd.CommandPath(), message: "--auth goes with --create"}
			}
			if create && qualifier != "" {
				return &usageError{cmd: cmd.CommandPath(), message: "--create makes the draft's URL, without --qualifier"}
			}
			mode := ""
			if cmd.Flags().Changed("stream") {
				mode = millicent.Buffered
			}
			if stream {
				mode = millicent.ResponseStream
			}
			return c.url(cmd.Context(), args[0], urlWish{qualifier, auth, mode, byPath, create})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&qualifier, "qualifier", "q", "", "`alias` (default the draft)")
	f.BoolVar(&byPath, "path", false, "print the form that has the URL's id in its path")
	f.BoolVar(&create, "create", false, "make the URL when there is none")
	f.BoolVar(&stream, "stream", false, "have the URL answer while the function writes")
	f.StringVar(&auth, "auth", "", "`type` of a new URL: NONE or AWS_IAM")
	c.jsonFlag(cmd)
	return cmd
}

// A urlWish is what is asked of a URL. Of its texts each may be empty.
type urlWish struct {
	qualifier, auth, mode string
	byPath, create        bool
}

func (c *cli) url(ctx context.Context, name string, wish urlWish) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var u *client.FunctionURL
	if wish.create {
		u, err = ensureURL(ctx, api, name, wish.auth)
	} else {
		u, err = api.URL(ctx, name, wish.qualifier)
	}
	if err == nil && wish.mode != "" {
		u, err = api.SetURLMode(ctx, name, wish.qualifier, wish.mode)
	}
	if client.IsNotFound(err) && !wish.create {
		if _, other := api.Function(ctx, name); other != nil {
			return other
		}
		return fmt.Errorf("function %s has no URL: `millicent url %s --create` makes one", name, name)
	}
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c.out, map[string]string{"url": u.FunctionURL, "pathUrl": api.PathURL(u), "authType": u.AuthType, "invokeMode": u.InvokeMode})
	}
	text := u.FunctionURL
	if wish.byPath {
		text = api.PathURL(u)
	}
	_, err = fmt.Fprintln(c.out, text)
	return err
}

// ensureURL returns the URL of a function's draft, which it makes if need be:
// open to everyone when the server itself is, unless auth says otherwise.
func ensureURL(ctx context.Context, api *client.Client, name, auth string) (*client.FunctionURL, error) {
	u, err := api.URL(ctx, name, "")
	if err == nil && auth != "" && auth != u.AuthType {
		return nil, fmt.Errorf("the URL of %s has AuthType %s already", name, u.AuthType)
	}
	if !client.IsNotFound(err) {
		return u, err
	}
	if auth == "" {
		info, err := api.Info(ctx)
		if err != nil {
			return nil, err
		}
		auth = "AWS_IAM"
		if info.Auth == "none" {
			auth = "NONE"
		}
	}
	u, err = api.CreateURL(ctx, name, "", auth)
	if err != nil {
		return nil, fmt.Errorf("make the function's URL: %w", err)
	}
	return u, nil
}
