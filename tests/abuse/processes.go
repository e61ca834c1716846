package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/tests/appliance"
)

// processRows are block L, and the parts of blocks D and I that need a whole
// appliance to stop and start: real processes on a folder.
var processRows = slices.Concat(
	[]row{
		{id: "D4", what: "replay after a restart: the recorded activity, no second one", run: replayAfterRestart},
	},
	storeRows, signalRows,
	[]row{
		{id: "L4", what: "line breaks, escapes and 100 KB in paths, headers and ids: the log stays lines", run: logInjection},
		{id: "L6", what: "second dev on a running folder; second host on a running store", run: secondAppliance},
		{id: "L7", what: "production enclave off Nitro, with and without flags of the local build", run: productionEnclave},
		{id: "L8", what: "folder of one shape started with another", run: otherShape},
	},
)

func (w *world) neverReady(words []string, flags ...string) (string, error) {
	a, err := appliance.Start(w.bin, flags...)
	if err == nil {
		return "", errors.Join(errors.New("it became ready"), a.Stop())
	}
	var ended *appliance.StartError
	if !errors.As(err, &ended) {
		return "", err
	}
	for _, word := range words {
		if !strings.Contains(ended.Stderr, word) {
			return "", fmt.Errorf("it does not say %q: %s", word, ended.Stderr)
		}
	}
	return ended.Error(), nil
}

// endsAlone wants a program to end by itself with an error that has words.
func (w *world) endsAlone(program string, words []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, program), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		return "", fmt.Errorf("%s did not end with an error: %w: %s", program, err, out)
	}
	for _, word := range words {
		if !bytes.Contains(out, []byte(word)) {
			return "", fmt.Errorf("%s does not say %q: %s", program, word, out)
		}
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

func replayAfterRestart(w *world) (string, error) {
	dir, f, err := w.copyOf()
	if err != nil {
		return "", err
	}
	a, err := appliance.Start(w.bin, "--data", dir)
	if err != nil {
		return "", err
	}
	t, err := w.teamOf(a)
	if err != nil {
		return "", errors.Join(err, a.Stop())
	}
	before, err := t.w.journalSize()
	if err != nil {
		return "", errors.Join(err, a.Stop())
	}
	again, err := served(t.w.http.Post(signPath, f.body, t.key()))
	if err != nil {
		return "", errors.Join(err, a.Stop())
	}
	after, err := t.w.journalSize()
	if err = errors.Join(err, a.Stop()); err != nil {
		return "", err
	}
	if again.ID != f.activity || after != before || a.OrganizationID != f.ready.OrganizationID {
		return "", fmt.Errorf("activity %s for %s, %d new entries", again.ID, f.activity, after-before)
	}
	return "the recorded activity " + again.ID, nil
}

func logInjection(w *world) (string, error) {
	before := len(w.app.Stderr())
	for _, path := range []string{
		"/public/v1/query/a%0a%1b[2Jlevel=ERROR%20msg=forged", "/%0d%0aforged", "/" + strings.Repeat("%1b", 2000), "/%e2%80%ae%00",
	} {
		if _, _, err := w.raw(request("GET", path, "X-Request-Id: a\tb\r\nUser-Agent: \x1b[31m\r\nConnection: close\r\n", "")); err != nil {
			return "", err
		}
	}
	for _, id := range []string{"\\n\\u001b[2Jforged", strings.Repeat("A", 100_000)} {
		if _, err := w.main.stamped(invalid, signPath, replaced(w.main.signBody(), w.main.org, id)); err != nil {
			return "", err
		}
	}
	_, _ = (doorCase{w.door, call(callDo, doRequest(fields{2: "/\n\x1b[2Jforged"})), "", false}).refused()
	_, _ = (doorCase{w.hostDoor, call(callGet, fields{1: [][]byte{[]byte("\n\x1bforged")}}), "", false}).refused()
	for _, line := range strings.Split(w.app.Stderr()[before:], "\n") {
		if len(line) > 4<<10 {
			return "", fmt.Errorf("a line of %d bytes", len(line))
		}
		if strings.HasPrefix(line, "forged") || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }) {
			return "", fmt.Errorf("the line %q", line)
		}
	}
	return "every line printable, at most 4 KiB", nil
}

func secondAppliance(w *world) (string, error) {
	if _, err := w.neverReady([]string{"another sallyport dev"}, "--data", filepath.Join(w.dir, "main")); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(w.dir, "s")
	if err != nil {
		return "", err
	}
	return w.endsAlone("sallyport", []string{"another process"}, "serve", "--enclave", "unix:"+w.door, "--door", "unix:"+filepath.Join(dir, "d"),
		"--store", filepath.Join(w.dir, "main", "store"), "--listen", "127.0.0.1:0")
}

func productionEnclave(w *world) (string, error) {
	if _, err := os.Stat(filepath.Join(w.bin, "sallyport-enclave")); err != nil {
		return "", err
	}
	if _, err := os.Stat("/dev/nsm"); err == nil {
		return "", errors.New("this machine has /dev/nsm: run the table elsewhere")
	}
	return each([][]string{nil, {"-root", "file:" + filepath.Join(w.dir, "main", "root.key")}, {"-listen", "unix:" + filepath.Join(w.dir, "p")}, {"--help"}}, func(args []string) (string, error) {
		return w.endsAlone("sallyport-enclave", nil, args...)
	})
}

func otherShape(w *world) (string, error) {
	dir, _, err := w.copyOf()
	if err != nil {
		return "", err
	}
	if _, err := w.neverReady([]string{"--root-users"}, "--data", dir, "--root-users", "2"); err != nil {
		return "", err
	}
	if _, err := w.neverReady([]string{"--root"}, "--data", dir, "--root", "pkcs11:token=x"); err != nil {
		return "", err
	}
	return w.neverReady([]string{"--quorum"}, "--data", dir, "--quorum", "2")
}
