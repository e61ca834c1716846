package main

import (
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	serve := []string{"serve", "--enclave", "unix:e", "--store", "s", "--door", "unix:d", "--listen", ":0"}
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"no verb", nil, exitUsage, "", `expected one of "serve", "dev"`},
		{"unknown verb", []string{"mine"}, exitUsage, "", "unexpected argument mine"},
		{"help", []string{"--help"}, 0, "Usage: sallyport", ""},
		{"help of a verb", []string{"dev", "--help"}, 0, "It protects nothing", ""},
		{"serve without flags", []string{"serve"}, exitUsage, "", "missing flags: --door=ADDR, --enclave=ADDR, --listen=HOST:PORT, --store=DIR"},
		{"certificate without key", append(serve, "--tls-cert", "c"), exitUsage, "", "--tls-cert and --tls-key: only one is given"},
		{"nobody let in", append(serve, "--max-in-flight", "0"), exitUsage, "", "--max-in-flight: must be at least 1, is 0"},
		{"unknown log level", append(serve, "--log-level", "LOUD"), exitUsage, "", "LOUD"},
		{"unknown log format", append(serve, "--log-format", "xml"), exitUsage, "", `must be one of "text","json"`},
		{"relay certificate without key", append(serve, "--relay-listen", ":0", "--relay-tls-cert", "c"), exitUsage, "", "--relay-tls-cert and --relay-tls-key: only one is given"},
		{"relay certificate without relay", append(serve, "--relay-tls-cert", "c", "--relay-tls-key", "k"), exitUsage, "", "--relay-tls-cert: is for the relay of --relay-listen"},
		{"relay without port", append(serve, "--relay", "relay.example"), exitUsage, "", "--relay: must be HOST:PORT"},
		{"allowed relay without port", append(serve, "--relay-allow", "relay.example:4222", "--relay-allow", "other"), exitUsage, "", "--relay-allow: must be HOST:PORT"},
		{"relay of nowhere", []string{"relay"}, exitUsage, "", "missing flags: --listen=HOST:PORT"},
		{"relay key without certificate", []string{"relay", "--listen", ":0", "--tls-key", "k"}, exitUsage, "", "--tls-cert and --tls-key: only one is given"},
		{"users that are no number", []string{"dev", "--root-users", "x"}, exitUsage, "", "--root-users"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			if code := run(t.Context(), tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || (tt.stdout == "") != (stdout.Len() == 0) {
				t.Errorf("stdout: %s", stdout.String())
			}
			if !strings.Contains(stderr.String(), tt.stderr) || (tt.stderr == "") != (stderr.Len() == 0) {
				t.Errorf("stderr: %s", stderr.String())
			}
		})
	}
}
