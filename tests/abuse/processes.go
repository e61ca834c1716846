package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	_ "modernc.org/sqlite"

	"github.com/sallyport/sallyport/tests/appliance"
)

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// processRows are block L, and the parts of blocks D and I that need a whole
// appliance to stop and start: real processes on a folder.
var processRows = []row{
	{id: "D4", what: "replay after a restart: the recorded activity, no second one", run: replayAfterRestart},
	{id: "I4f", what: "bit of an entry flipped in journal.db: dev names the entry", run: damagedFile(flipRow, "journal entry 1:")},
	{id: "I5f", what: "append removed from journal.db", run: damagedFile(dropRow, "journal entry 1:")},
	{id: "I5g", what: "two appends swapped in journal.db", run: damagedFile(swapRows, "journal entry 1:")},
	{id: "I4g", what: "journal.db of zero bytes", run: damagedFile(emptyFile, "empty")},
	{id: "I4h", what: "journal.db with its first page overwritten", run: damagedFile(scratchFile, "journal.db")},
	{id: "I7d", what: "store of another appliance in this one's folder", run: otherStore},
	{id: "I7e", what: "root.key of another appliance in this one's folder", run: damagedFile(otherRootKey, "journal entry 0:")},
	{id: "L1", what: "SIGTERM under load: all that was acknowledged is there afterwards", run: terminated},
	{id: "L1b", what: "SIGTERM twice at once, as timeout(1) and make send it: a clean end, nothing left behind", run: signalledTwice},
	{id: "L4", what: "line breaks, escapes and 100 KB in paths, headers and ids: the log stays lines", run: logInjection},
	{id: "L6", what: "second dev on a running folder; second host on a running store", run: secondAppliance},
	{id: "L7", what: "production enclave off Nitro, with and without flags of the local build", run: productionEnclave},
	{id: "L8", what: "folder of one shape started with another", run: otherShape},
}

// A folder is a dev's folder at rest, with what was acknowledged in it.
type folder struct {
	ready    appliance.Ready
	body     []byte
	activity string
}

var (
	theFolder     *folder
	theFolderPath string
)

// restFolder makes a folder with some entries, once.
func (w *world) restFolder() (*folder, error) {
	if theFolder != nil {
		return theFolder, nil
	}
	theFolderPath = filepath.Join(w.dir, "rest")
	a, err := appliance.Start(w.bin, "--data", theFolderPath)
	if err != nil {
		return nil, err
	}
	f := &folder{ready: a.Ready}
	t, err := w.teamOf(a)
	if err == nil {
		t.keyID, _, err = t.newKey("CURVE_SECP256K1")
	}
	var done *activity
	if err == nil {
		f.body = t.signBody()
		done, err = served(t.w.http.Post(signPath, f.body, t.key()))
	}
	if err = errors.Join(err, a.Stop()); err != nil {
		return nil, err
	}
	f.activity = done.ID
	theFolder = f
	return f, nil
}

// teamOf is the first organization of an appliance.
func (w *world) teamOf(a *appliance.Appliance) (*team, error) {
	w2 := &world{bin: w.bin, dir: w.dir, app: a, http: appliance.NewHTTP(a.BaseURL)}
	t := &team{w: w2, org: a.OrganizationID}
	for _, u := range a.Users {
		k, err := u.Key()
		if err != nil {
			return nil, err
		}
		t.keys = append(t.keys, k)
	}
	return t, nil
}

// copyOf makes a copy of the folder at rest.
func (w *world) copyOf() (string, *folder, error) {
	f, err := w.restFolder()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(w.dir, "c")
	if err != nil {
		return "", nil, err
	}
	if err := os.CopyFS(dir, os.DirFS(theFolderPath)); err != nil {
		return "", nil, err
	}
	// What a copy loses.
	return dir, f, errors.Join(os.Chmod(filepath.Join(dir, "root.key"), 0o600), os.Chmod(filepath.Join(dir, "store"), 0o700))
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

// damagedFile starts dev on a damaged copy and wants it to end by itself, with
// words on standard error.
func damagedFile(damage func(w *world, dir string) error, words ...string) func(*world) (string, error) {
	return func(w *world) (string, error) {
		dir, _, err := w.copyOf()
		if err != nil {
			return "", err
		}
		if err := damage(w, dir); err != nil {
			return "", err
		}
		return w.neverReady(words, "--data", dir)
	}
}

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

// journalRows opens a journal at rest.
func withJournal(dir string, do func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, "store", "journal.db"))
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

func flipRow(_ *world, dir string) error {
	return withJournal(dir, func(db *sql.DB) error {
		var b []byte
		if err := db.QueryRow("SELECT records FROM appends WHERE first = 1").Scan(&b); err != nil {
			return err
		}
		_, err := db.Exec("UPDATE appends SET records = ? WHERE first = 1", flipped(b, len(b)-1))
		return err
	})
}

func dropRow(_ *world, dir string) error {
	return withJournal(dir, func(db *sql.DB) error {
		_, err := db.Exec("DELETE FROM appends WHERE first = 1")
		return err
	})
}

func swapRows(_ *world, dir string) error {
	return withJournal(dir, func(db *sql.DB) error {
		for _, move := range [][2]int{{1, 1000}, {2, 1}, {1000, 2}} {
			if _, err := db.Exec("UPDATE appends SET first = ? WHERE first = ?", move[1], move[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptyFile also removes the log beside the file.
func emptyFile(_ *world, dir string) error {
	for _, rest := range []string{"journal.db-wal", "journal.db-shm"} {
		if err := os.Remove(filepath.Join(dir, "store", rest)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Truncate(filepath.Join(dir, "store", "journal.db"), 0)
}

func scratchFile(_ *world, dir string) error {
	// Closing the database first moves everything out of the log.
	if err := withJournal(dir, func(db *sql.DB) error {
		_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		return err
	}); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "store", "journal.db"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), 0)
	return errors.Join(err, f.Close())
}

func otherRootKey(_ *world, dir string) error {
	return os.WriteFile(filepath.Join(dir, "root.key"), []byte(strings.Repeat("ab", 32)+"\n"), 0o600)
}

func otherStore(w *world) (string, error) {
	dir, _, err := w.copyOf()
	if err != nil {
		return "", err
	}
	elsewhere := filepath.Join(w.dir, "elsewhere")
	a, err := appliance.Start(w.bin, "--data", elsewhere)
	if err != nil {
		return "", err
	}
	if err := a.Stop(); err != nil {
		return "", err
	}
	store := filepath.Join(dir, "store")
	if err := errors.Join(os.RemoveAll(store), os.CopyFS(store, os.DirFS(filepath.Join(elsewhere, "store")))); err != nil {
		return "", err
	}
	return w.neverReady([]string{"journal entry 0:"}, "--data", dir)
}

// terminated signs from four clients, sends SIGTERM, and asks again.
func terminated(w *world) (string, error) {
	dir, _, err := w.copyOf()
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
	var acknowledged sync.Map
	var count atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				body := t.body(typeCreate, object{"privateKeys": []object{{
					"privateKeyName": "t" + appliance.Now(), "curve": "CURVE_P256", "privateKeyTags": []string{}, "addressFormats": []string{},
				}}})
				done, err := served(t.w.http.Post(createPath, body, t.key()))
				if err != nil {
					return // it stops
				}
				acknowledged.Store(string(body), done.ID)
				count.Add(1)
			}
		})
	}
	<-time.After(300 * time.Millisecond)
	began := time.Now()
	if err := a.Stop(); err != nil {
		return "", err
	}
	took := time.Since(began)
	clients.Wait()
	if a, err = appliance.Start(w.bin, "--data", dir); err != nil {
		return "", err
	}
	t, err = w.teamOf(a)
	acknowledged.Range(func(body, id any) bool {
		var again *activity
		if again, err = served(t.w.http.Post(createPath, []byte(body.(string)), t.key())); err == nil && again.ID != id {
			err = fmt.Errorf("activity %s was %s", again.ID, id)
		}
		return err == nil
	})
	if err = errors.Join(err, a.Stop()); err != nil {
		return "", err
	}
	if count.Load() == 0 || took > 5*time.Second {
		return "", fmt.Errorf("%d acknowledged, stopped in %v", count.Load(), took)
	}
	return fmt.Sprintf("%d acknowledged, all there; stopped in %v", count.Load(), took.Round(time.Millisecond)), nil
}

func signalledTwice(w *world) (string, error) {
	a, err := appliance.Start(w.bin)
	if err != nil {
		return "", err
	}
	door, err := a.HostDoor()
	if err != nil {
		return "", errors.Join(err, a.Stop())
	}
	sockets := filepath.Dir(strings.TrimPrefix(door, "unix:"))
	for range 2 {
		if err := syscall.Kill(a.PID(appliance.Dev), syscall.SIGTERM); err != nil {
			return "", err
		}
		<-time.After(time.Millisecond) // or the two become one
	}
	if err := a.Wait(); err != nil {
		return "", fmt.Errorf("%w: %s", err, a.Stderr())
	}
	if _, err := os.Stat(sockets); !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is left behind", sockets)
	}
	return "exit status 0, no folder left", nil
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
