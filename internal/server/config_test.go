package server

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	cfg, err := Config{Data: "data"}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:4566" || cfg.Account != "000000000000" || cfg.Region != "us-east-1" ||
		cfg.Auth != "none" || cfg.Egress != "public" || cfg.Log == nil || !filepath.IsAbs(cfg.Data) {
		t.Errorf("got %+v", cfg)
	}
}

func TestConfigChecks(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string // part of the error; "" for none
	}{
		{func(c *Config) { c.Data = "" }, "no data directory"},
		{func(c *Config) { c.Account = "12345678901" }, "twelve digits"},
		{func(c *Config) { c.Account = "1234567890ab" }, "twelve digits"},
		{func(c *Config) { c.Region = "moon" }, "named like us-east-1"},
		{func(c *Config) { c.Region = "us-gov-west-1" }, ""},
		{func(c *Config) { c.Auth = "basic" }, "choose none or sigv4"},
		{func(c *Config) { c.Egress = "some" }, "choose none, public or all"},
		{func(c *Config) { c.Listen = "127.0.0.1" }, "want HOST:PORT"},
		{func(c *Config) { c.Listen = "127.0.0.1:http" }, "a port is a number"},
		{func(c *Config) { c.Listen = "127.0.0.1:65536" }, "a port is a number"},
		{func(c *Config) { c.Listen = "127.9.9.9:0" }, ""},
		{func(c *Config) { c.Listen = "localhost:1" }, ""},
		{func(c *Config) { c.Listen = "[::1]:1" }, ""},
		{func(c *Config) { c.Listen = "[::ffff:127.0.0.1]:1" }, ""},
		{func(c *Config) { c.Listen = ":4566" }, "anyone who reaches it could run code here"},
		{func(c *Config) { c.Listen = "0.0.0.0:4566" }, "--auth sigv4"},
		{func(c *Config) { c.Listen = "[::]:4566" }, "--auth sigv4"},
		{func(c *Config) { c.Listen = "192.168.1.1:4566" }, "--auth sigv4"},
		{func(c *Config) { c.Listen = "localhost.example.com:4566" }, "--auth sigv4"},
		{func(c *Config) { c.Listen, c.Auth = "0.0.0.0:4566", "sigv4" }, ""},
		{func(c *Config) { c.S3Endpoint = "127.0.0.1:9000" }, "want a URL"},
		{func(c *Config) { c.S3Endpoint = "ftp://x" }, "want a URL"},
		{func(c *Config) { c.S3Endpoint = "http://127.0.0.1:9000" }, ""},
		{func(c *Config) { c.Reach = []string{"127.0.0.1:4222", "nats.example.com:1"} }, ""},
		{func(c *Config) { c.Reach = []string{"127.0.0.1"} }, "want HOST:PORT"},
		{func(c *Config) { c.Reach = []string{":4222"} }, "want HOST:PORT"},
		{func(c *Config) { c.Reach = []string{"h:0"} }, "want HOST:PORT"},
		{func(c *Config) { c.MaxEnvironments = -1 }, "cannot be negative"},
		{func(c *Config) { c.MaxMemoryMB = -1 }, "cannot be negative"},
		{func(c *Config) { c.KeepAlive = -time.Second }, "cannot be negative"},
	} {
		cfg := Config{Data: t.TempDir()}
		c.change(&cfg)
		_, err := cfg.complete()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", cfg, err, c.want)
		}
	}
}
