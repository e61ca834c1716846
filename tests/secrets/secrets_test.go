package secrets

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	_ "modernc.org/sqlite"

	"github.com/sallyport/sallyport/tests/appliance"
)

func TestNoSecretCrossesTheDoorOrReachesTheHost(t *testing.T) {
	s := newSite(t, build(t))
	s.start()
	x := found(t, s.base)
	x.create()
	x.use()
	x.slip()
	x.read()
	shown := seen(t, s.host.cmd.Process.Pid, s.enclave.cmd.Process.Pid)
	x.http.Close()
	s.stop()
	s.start()
	x.http = appliance.NewHTTP(s.base)
	x.use() // shares come from the store this time
	x.slip()
	x.read()
	x.http.Close()
	s.stop()

	derived := fromState(t, s.dir, len(x.keyIDs))
	all := scanner(t, x.secrets, derived)
	clean(t, all, "the frames at the door", s.frames)
	clean(t, all, "command lines and environments", shown)
	all = scanner(t, x.secrets, derived, x.slips)
	clean(t, all, "the output of host and enclave", []byte(s.output.String()))
	scanStore(t, all, s.path("store"))
	if len(s.frames) < 100_000 {
		t.Errorf("only %d bytes of frames were recorded", len(s.frames))
	}
}

func TestDevPrintsNoSecretButItsLine(t *testing.T) {
	bin, dir := build(t), t.TempDir()
	var output string
	var x *tale
	for range 2 {
		a, err := appliance.Start(bin, "--verbose", "--data", dir)
		if err != nil {
			t.Fatal(err)
		}
		key, err := a.Users[0].Key()
		if err != nil {
			t.Fatal(err)
		}
		if x == nil {
			x = &tale{T: t, org: a.OrganizationID, key: key}
			x.keep("the API key", key)
		}
		x.http = appliance.NewHTTP(a.BaseURL)
		x.create()
		x.use()
		x.slip()
		x.read()
		x.http.Close()
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
		output += a.Stderr()
	}
	all := scanner(t, x.secrets, x.slips, fromState(t, dir, len(x.keyIDs)))
	clean(t, all, "the output of dev", []byte(output))
	scanStore(t, all, filepath.Join(dir, "store"))
	if !strings.Contains(output, "export_private_key") {
		t.Error("the output does not log the requests, so that its scan means little")
	}
}

func scanner(t *testing.T, lists ...[]Secret) *Scanner {
	t.Helper()
	var all []Secret
	for _, l := range lists {
		all = append(all, l...)
	}
	s, err := NewScanner(all...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func clean(t *testing.T, s *Scanner, where string, b []byte) {
	t.Helper()
	for _, found := range s.Find(b) {
		t.Errorf("%s: %s", where, found)
	}
}

// seen is what others see of processes.
func seen(t *testing.T, pids ...int) (all []byte) {
	t.Helper()
	for _, pid := range pids {
		b, err := visible(pid)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// scanStore looks into every file as it lies on the disk, and into every row,
// which a file may hold in pieces.
func scanStore(t *testing.T, s *Scanner, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		clean(t, s, path, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ file, query string }{
		{"blobs.db", "SELECT blob FROM blobs"}, {"journal.db", "SELECT records FROM appends"},
	} {
		for _, row := range rows(t, filepath.Join(dir, q.file), q.query) {
			clean(t, s, "a row of "+q.file, row)
		}
	}
}

func rows(t *testing.T, file, query string) (all [][]byte) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for r.Next() {
		var b []byte
		if err := r.Scan(&b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// fromState takes out of a folder what its root secret opens: the shares of so
// many keys, the identity, and the keys that all of it is sealed by.
func fromState(t *testing.T, dir string, keys int) []Secret {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	root := unhex(t, strings.TrimSpace(string(text)))
	prk, err := rootKey(root)
	if err != nil {
		t.Fatal(err)
	}
	list := []Secret{{"the root secret", root}, {"the root's pseudo-random key", prk}, attestationKey(t, dir)}
	shares := 0
	for _, blob := range rows(t, filepath.Join(dir, "store", "blobs.db"), "SELECT blob FROM blobs") {
		if bytes.Contains(blob, []byte("sallyport-manifest-v1")) || bytes.Contains(blob, []byte("module_id")) {
			continue // manifest and document of a boot, which everybody may see
		}
		o, err := open(root, blob)
		if err != nil {
			t.Fatalf("the root does not open a blob: %v", err)
		}
		list = append(list, Secret{"an object key", o.key})
		switch o.kind {
		case kindShare:
			shares++
			list = append(list, Secret{fmt.Sprintf("share %d", shares), o.plain})
		case kindIdentity:
			list = append(list, identity(t, dir, o.plain)...)
		default:
			t.Errorf("a blob of kind %d", o.kind)
		}
	}
	if shares != 3*keys {
		t.Errorf("%d keys have %d shares in the store", keys, shares)
	}
	return append(list, journalKeys(t, dir, root)...)
}

// identity reads the long-lived keys, and makes sure that it is they.
func identity(t *testing.T, dir string, plain []byte) []Secret {
	t.Helper()
	var i struct {
		Quorum     []byte `cbor:"1,keyasint"`
		Checkpoint []byte `cbor:"2,keyasint"`
	}
	if err := cbor.Unmarshal(plain, &i); err != nil {
		t.Fatal(err)
	}
	quorum, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), i.Quorum)
	if err != nil {
		t.Fatal(err)
	}
	public, err := quorum.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ QuorumPublicKey string }
	if err := json.Unmarshal(manifest, &m); err != nil || m.QuorumPublicKey != hex.EncodeToString(public) {
		t.Errorf("what was opened is not the quorum key: %v", err)
	}
	return []Secret{{"the quorum key", i.Quorum}, {"the checkpoint key", i.Checkpoint}}
}

// journalKeys are the keys of the journal's entries.
func journalKeys(t *testing.T, dir string, root []byte) (list []Secret) {
	t.Helper()
	for _, row := range rows(t, filepath.Join(dir, "store", "journal.db"), "SELECT records FROM appends") {
		for len(row) > 4 {
			n := int(binary.BigEndian.Uint32(row))
			o, err := open(root, row[4:4+n])
			if err != nil || o.kind != kindJournal {
				t.Fatalf("the root does not open an entry: %v", err)
			}
			list = append(list, Secret{"an entry's key", o.key})
			row = row[4+n:]
		}
	}
	return list
}

func attestationKey(t *testing.T, dir string) Secret {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "attestation-root.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatal("attestation-root.key is no PEM")
	}
	var private any
	if private, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		private, err = x509.ParseECPrivateKey(block.Bytes)
	}
	key, ok := private.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		t.Fatalf("attestation-root.key: %v", err)
	}
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return Secret{"the attestation root's key", raw}
}

func TestScannerFindsASecretInEveryForm(t *testing.T) {
	secret := Secret{"planted", random(t)}
	s := scanner(t, []Secret{secret})
	noise := bytes.Repeat([]byte("nothing to see here "), 1000)
	if found := s.Find(noise); len(found) > 0 {
		t.Fatalf("found where nothing is: %v", found)
	}
	for _, f := range secret.forms() {
		t.Run(f.name, func(t *testing.T) {
			haystack := append(append(bytes.Clone(noise), f.bytes...), noise...)
			if len(s.Find(haystack)) == 0 {
				t.Error("not found")
			}
		})
	}
}

// TestScannerFindsASecretWhereTheStoryLooks plants one in each place.
func TestScannerFindsASecretWhereTheStoryLooks(t *testing.T) {
	secret := Secret{"planted", random(t)}
	s := scanner(t, []Secret{secret})
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "blobs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE blobs (name BLOB PRIMARY KEY, blob BLOB NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	blob := append(bytes.Repeat([]byte{1}, 5000), secret.Bytes...)
	if _, err := db.Exec("INSERT INTO blobs VALUES (x'00', ?)", blob); err != nil {
		t.Fatal(err)
	}
	row := rows(t, filepath.Join(dir, "blobs.db"), "SELECT blob FROM blobs")
	if len(row) != 1 || len(s.Find(row[0])) == 0 {
		t.Error("not found in a row")
	}
	file, err := os.ReadFile(filepath.Join(dir, "blobs.db"))
	if err != nil || len(s.Find(file)) == 0 {
		t.Errorf("not found in the file: %v", err)
	}
	log := fmt.Appendf(nil, "host | level=INFO msg=\"key %x\"\n", secret.Bytes)
	if len(s.Find(log)) == 0 {
		t.Error("not found in a log")
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	if _, err := NewScanner(Secret{"short", make([]byte, 15)}); err == nil {
		t.Error("a secret of 15 bytes is looked for")
	}
}
