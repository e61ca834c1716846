package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/tests/appliance"
)

// A world is the running appliance and what honest users have made on it.
type world struct {
	bin, dir string
	app      *appliance.Appliance
	http     *appliance.HTTP
	door     string // path of the enclave's socket
	hostDoor string // path of the host's socket
	manifest []byte
	root     string // path of the attestation root
	quorum   []byte // the appliance's quorum key, 65 bytes

	main  *team // 1 of 1, with a key
	other *team // another organization, 1 of 1, with a key
	board *team // 2 of 3, with a user who is no root user

	export *exported // of main.keyID
	theirs *exported // of other.keyID
	sealed *base     // a second appliance's state, for the sealed block
}

func newWorld(bin, dir string) (*world, error) {
	app, err := appliance.Start(bin, "--verbose", "--data", filepath.Join(dir, "main"))
	if err != nil {
		return nil, err
	}
	w := &world{bin: bin, dir: dir, app: app, http: appliance.NewHTTP(app.BaseURL), root: app.AttestationRoot}
	if err := w.prepare(); err != nil {
		return nil, errors.Join(err, app.Stop())
	}
	return w, nil
}

func (w *world) prepare() (err error) {
	for _, door := range []struct {
		path *string
		get  func() (string, error)
	}{{&w.door, w.app.EnclaveDoor}, {&w.hostDoor, w.app.HostDoor}} {
		address, err := door.get()
		if err != nil {
			return err
		}
		*door.path = strings.TrimPrefix(address, "unix:")
	}
	if w.quorum, err = hex.DecodeString(w.app.QuorumPublicKey); err != nil {
		return err
	}
	if w.manifest, err = os.ReadFile(w.manifestFile()); err != nil {
		return err
	}
	for _, t := range []struct {
		team          **team
		users, quorum int
	}{{&w.main, 1, 1}, {&w.other, 1, 1}, {&w.board, 3, 2}} {
		if *t.team, err = w.found(t.users, t.quorum); err != nil {
			return err
		}
	}
	for _, t := range []*team{w.main, w.other} {
		if t.keyID, t.publicKey, err = t.newKey("CURVE_SECP256K1"); err != nil {
			return err
		}
	}
	if w.export, err = w.main.export(); err != nil {
		return err
	}
	if w.theirs, err = w.other.export(); err != nil {
		return err
	}
	w.sealed, err = newBase(w)
	return err
}

// manifestFile is the path of the appliance's manifest.
func (w *world) manifestFile() string { return filepath.Join(w.dir, "main", "manifest.json") }

func (w *world) close() {
	w.http.Close()
	if err := w.app.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "abuse: stopping:", err)
	}
}

func (w *world) status() (*wire.Status, error) {
	r, err := w.http.Do(http.MethodGet, "/sallyport/v1/status", nil)
	if err != nil {
		return nil, err
	}
	var s wire.Status
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("status: HTTP %d: %s", r.Status, r.Body)
	}
	return &s, json.Unmarshal(r.Body, &s)
}

func (w *world) journalSize() (uint64, error) {
	s, err := w.status()
	if err != nil {
		return 0, err
	}
	return s.JournalSize, nil
}

func (w *world) trust() (attestation.Trust, error) {
	return readTrust(w.root)
}
