package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the program's version, set when a release is built.
var version = ""

// versionString returns the version, or the commit that an unreleased program
// was built from.
func versionString() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return "dev"
}

func (c *cli) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the program's version",
		Example: "  millicent version\n  millicent version --json",
		Args:    wantArgs(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if c.json {
				return printJSON(c.out, map[string]string{"version": versionString(), "go": runtime.Version(), "platform": platform})
			}
			_, err := fmt.Fprintf(c.out, "millicent %s (%s, %s)\n", versionString(), runtime.Version(), platform)
			return err
		},
	}
	c.jsonFlag(cmd)
	return cmd
}
