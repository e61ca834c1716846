package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/sallyport/sallyport/tests/appliance"
)

const message = "pay 1 to Carol"

func (s *stage) start() error {
	fmt.Println("   $ sallyport dev")
	a, err := appliance.Start(s.bin)
	if err != nil {
		return err
	}
	s.appliance = a
	fmt.Printf("     listening on %s; the quorum key to pin is %s...\n", a.BaseURL, a.QuorumPublicKey[:16])
	fmt.Println("     THE LOCAL ROOT PROTECTS NOTHING: it simulates the security module on this machine.")
	return nil
}

func (s *stage) found() error {
	for _, name := range []string{"alice", "bob"} {
		if _, err := s.say("sallyport", []string{"key", "generate", name}); err != nil {
			return err
		}
	}
	args := []string{"org", "create", "--name", "Demo", "--user", "alice=alice.key", "--user", "bob=bob.key", "--quorum", "2"}
	fmt.Printf("   $ sallyport %s\n", strings.Join(args, " "))
	var out struct {
		OrganizationID string `json:"organizationId"`
	}
	if err := s.ask(&out, args...); err != nil {
		return err
	}
	s.organization = out.OrganizationID
	fmt.Printf("     organization %s; its id commits to both people's keys\n", s.organization)
	return nil
}

// approved runs a verb of Alice's that needs Bob, and Bob's approval of it.
func (s *stage) approved(args ...string) (activity string, err error) {
	if _, err := s.say("sallyport", args, exitPending); err != nil {
		return "", err
	}
	if activity, err = s.newest(); err != nil {
		return "", err
	}
	_, err = s.say("sallyport", []string{"activity", "approve", activity, "--key-file", "bob.key"})
	return activity, err
}

// newest is the id of the newest activity.
func (s *stage) newest() (string, error) {
	var list struct {
		Activities []struct{ ActivityID string }
	}
	if err := s.ask(&list, "activity", "list"); err != nil || len(list.Activities) == 0 {
		return "", errors.Join(err, errors.New("no activity"))
	}
	return list.Activities[0].ActivityID, nil
}

func (s *stage) create() error {
	if _, err := s.approved("keys", "create", "--name", "treasury", "--curve", "secp256k1", "--address-format", "ethereum"); err != nil {
		return err
	}
	if _, err := s.say("sallyport", []string{"keys", "list"}); err != nil {
		return err
	}
	var list struct {
		PrivateKeys []struct{ PrivateKeyID string }
	}
	if err := s.ask(&list, "keys", "list"); err != nil || len(list.PrivateKeys) != 1 {
		return errors.Join(err, errors.New("no key"))
	}
	s.key = list.PrivateKeys[0].PrivateKeyID
	return nil
}

func (s *stage) sign() error {
	activity, err := s.approved("sign", "--key", "treasury", "--payload", message)
	if err != nil {
		return err
	}
	var got struct {
		Result struct{ SignRawPayloadResult struct{ R, S string } }
	}
	if err := s.ask(&got, "activity", "get", activity); err != nil {
		return err
	}
	s.signature = got.Result.SignRawPayloadResult
	if s.signature.R == "" {
		return errors.New("the activity has no signature")
	}
	digest := sha256.Sum256([]byte(message))
	s.digest = digest[:]
	fmt.Printf("     r %s\n     s %s\n", s.signature.R, s.signature.S)
	return nil
}

func (s *stage) export() error {
	_, err := s.say("sallyport", []string{"export", "--key", "treasury", "--target", "alice.target", "--out", "treasury.hex"}, exitPending)
	if err != nil {
		return err
	}
	s.pending, err = s.newest()
	return err
}

func (s *stage) approve() error {
	_, err := s.say("sallyport", []string{"activity", "approve", s.pending, "--key-file", "bob.key"})
	return err
}

func (s *stage) collect() error {
	_, err := s.say("sallyport", []string{
		"export", "--activity", s.pending, "--target", "alice.target", "--out", "treasury.hex", "--bundle-out", "bundle.json",
	})
	return err
}

func (s *stage) verifier() []string {
	return []string{
		"bundle", "bundle.json", "--organization", s.organization, "--local-root", s.appliance.AttestationRoot,
		"--quorum-key", s.appliance.QuorumPublicKey, "--key-id", s.key,
	}
}

func (s *stage) verify() error {
	_, err := s.say("sallyport-verify", s.verifier())
	return err
}

func (s *stage) tamper() error {
	path := filepath.Join(s.dir, "bundle.json")
	bundle, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := strings.Index(string(bundle), `"data":"`) + len(`"data":"`) + 100
	bundle[at] ^= 1 // one hex digit
	if err := os.WriteFile(path, bundle, 0o600); err != nil {
		return err
	}
	_, err = s.say("sallyport-verify", s.verifier(), 1)
	return err
}

func (s *stage) check() error {
	text, err := os.ReadFile(filepath.Join(s.dir, "treasury.hex"))
	if err != nil {
		return err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return errors.New("treasury.hex does not hold a key")
	}
	public := secp256k1.PrivKeyFromBytes(secret).PubKey()
	clear(secret)
	var sigR, sigS secp256k1.ModNScalar
	for _, part := range []struct {
		scalar *secp256k1.ModNScalar
		text   string
	}{{&sigR, s.signature.R}, {&sigS, s.signature.S}} {
		raw, err := hex.DecodeString(part.text)
		if err != nil || part.scalar.SetByteSlice(raw) {
			return errors.New("the signature is malformed")
		}
	}
	if !ecdsa.NewSignature(&sigR, &sigS).Verify(s.digest, public) {
		return errors.New("the exported key did not make the signature")
	}
	fmt.Printf("     the signature of %q verifies under the exported key's public key\n     %x\n", message, public.SerializeCompressed())
	return nil
}
