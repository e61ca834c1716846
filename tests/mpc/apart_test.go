package mpc

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

func TestNodesDieAndNetworksBreak(t *testing.T) {
	t.Parallel()
	s := newSite(t, build(t))
	ids, public := s.keygen("ecdsa", 2)

	// A node dies in the middle of a signature. Its partner hears no more of it; the
	// others do not miss it.
	lost := s.attempt(ids, []int{0, 2}, func() { s.kill(2) })
	s.sign("ecdsa", ids, public, []int{0, 1}, "without the dead one")
	lost.fails(t)
	s.restart(2)
	s.sign("ecdsa", ids, public, []int{1, 2}, "with it again")

	// A node is cut off, and comes back.
	cut := s.attempt(ids, []int{1, 2}, s.network[1].Drop)
	s.sign("ecdsa", ids, public, []int{0, 2}, "on this side")
	cut.fails(t)
	s.network[1].Heal()
	s.sign("ecdsa", ids, public, []int{0, 1}, "on both sides")

	// The relay dies with everything in it.
	s.killRelay()
	s.startRelay()
	s.sign("ecdsa", ids, public, []int{1, 2}, "over the new relay")

	s.leaveInShares(ids, public)
}

// An attempt is an operation that something happens to.
type attempt chan []fields

// attempt begins a signature, and does something as soon as it is under way.
func (s *site) attempt(ids []string, nodes []int, then func()) attempt {
	s.t.Helper()
	room := s.room(len(nodes))
	done := make(attempt, 1)
	go func() {
		_, out := s.together(nodes, "/ecdsa/sign", func(n int) fields {
			return fields{"room_uuid": room, "key_id": ids[n], "msg": "00", "hash_algo": "sha256"}
		})
		done <- out
	}()
	time.Sleep(20 * time.Millisecond)
	then()
	return done
}

// fails wants that the operation has ended, with an error for each party.
func (a attempt) fails(t *testing.T) {
	t.Helper()
	for _, out := range <-a {
		if out["err_msg"] == nil || out["signature"] != nil {
			t.Errorf("answered %v", out)
		}
	}
}

// leaveInShares has the key leave as shares that the command line combines.
func (s *site) leaveInShares(ids []string, public string) {
	s.t.Helper()
	run := func(args ...string) string {
		cmd := exec.CommandContext(s.t.Context(), filepath.Join(s.bin, "sallyport"), args...)
		cmd.Dir = s.dir
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			s.t.Fatalf("%v: %v\n%s", args, err, errs.String())
		}
		return strings.TrimSpace(string(out))
	}
	target := run("key", "target", "mine")
	room := s.room(2)
	combine := []string{"export", "--combine", "0.json", "--combine", "1.json", "--target", "mine.target", "--dev", "ready.json", "--out", "key.hex"}
	for n, o := range s.good([]int{0, 2}, "/ecdsa/export/full", func(n int) fields {
		return fields{"room_uuid": room, "key_id": ids[n], "mode": "shares", "target_public_key": target}
	}) {
		b, _ := json.Marshal(o)
		if err := os.WriteFile(filepath.Join(s.dir, []string{"0.json", "1.json"}[n]), b, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	run(combine...)
	text, err := os.ReadFile(filepath.Join(s.dir, "key.hex"))
	key, err2 := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || err2 != nil || hex.EncodeToString(secp256k1.PrivKeyFromBytes(key).PubKey().SerializeCompressed()) != public {
		s.t.Errorf("combined another key, or none: %v, %v", err, err2)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "mine.target")); err == nil {
		s.t.Error("the target key is still there")
	}
}
