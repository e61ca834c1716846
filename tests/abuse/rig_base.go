package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// A base is the state of a second appliance at rest, to be damaged in copies.
type base struct {
	w       *world
	dir     string // manifest, root and attestation root
	records [][]byte
	blobs   map[[32]byte][]byte
	genesis map[[32]byte]bool // the blobs that genesis left: the identity

	org          string
	key          *client.APIKey
	keyIDs       []string
	acknowledged []byte // a body that was signed
	activity     string // its activity
}

// newBase takes an enclave through genesis and lets it work a little.
func newBase(w *world) (b *base, err error) {
	b = &base{w: w, dir: filepath.Join(w.dir, "rig"), genesis: map[[32]byte]bool{}}
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return nil, err
	}
	host := enclavetest.NewHost()
	r, err := b.boot(b.dir, host)
	if err != nil {
		return nil, err
	}
	defer r.end()
	status, err := r.settled()
	if err != nil || status.Phase != wire.PhaseReady {
		return nil, fmt.Errorf("the rig is %+v: %w", status, err)
	}
	for name := range host.Blobs {
		b.genesis[name] = true
	}
	if err := b.work(r, status.QuorumPublicKey); err != nil {
		return nil, err
	}
	host.Edit(func(h *enclavetest.Host) { b.records, b.blobs = copyState(h) })
	return b, nil
}

func copyState(h *enclavetest.Host) ([][]byte, map[[32]byte][]byte) {
	var records [][]byte
	for _, r := range h.Records {
		records = append(records, bytes.Clone(r))
	}
	blobs := map[[32]byte][]byte{}
	for name, b := range h.Blobs {
		blobs[name] = bytes.Clone(b)
	}
	return records, blobs
}

// work founds an organization, makes two keys and signs.
func (b *base) work(r *rig, quorum string) error {
	body, keys, err := foundingBody(1, 1, quorum)
	if err != nil {
		return err
	}
	request, err := client.NewFoundingRequest(body, keys...)
	if err != nil {
		return err
	}
	reply, err := r.do(organizations, request, nil)
	if err != nil || reply.Status != 200 {
		return fmt.Errorf("founding at the rig: %+v, %w", reply, err)
	}
	b.org, b.key = client.OrganizationID(body), keys[0]
	for range 2 {
		a, err := r.completed(createPath, appliance.Body(typeCreate, b.org, appliance.Now(), keyParameters("CURVE_SECP256K1")), b.key)
		if err != nil {
			return err
		}
		var out struct {
			PrivateKeys []struct{ PrivateKeyID string }
		}
		if err := json.Unmarshal(a.Result["createPrivateKeysResultV2"], &out); err != nil {
			return err
		}
		b.keyIDs = append(b.keyIDs, out.PrivateKeys[0].PrivateKeyID)
	}
	b.acknowledged = b.signBody(0)
	a, err := r.completed(signPath, b.acknowledged, b.key)
	if err != nil {
		return err
	}
	b.activity = a.ID
	return nil
}

func (b *base) signBody(key int) []byte {
	t := &team{org: b.org, keyID: b.keyIDs[key]}
	return appliance.Body(typeSign, b.org, appliance.Now(), t.signParameters())
}

// host makes a store with a copy of the state.
func (b *base) host() *enclavetest.Host {
	h := enclavetest.NewHost()
	h.Records, h.Blobs = copyState(&enclavetest.Host{Records: b.records, Blobs: b.blobs})
	return h
}

// damaged boots an enclave on a changed copy of the state and wants it Broken,
// with words in the reason.
func (b *base) damaged(change func(*enclavetest.Host), words ...string) (string, error) {
	h := b.host()
	change(h)
	return b.broken(b.dir, h, words...)
}

func (b *base) broken(dir string, h wire.Host, words ...string) (string, error) {
	r, err := b.boot(dir, h)
	if err != nil {
		return "", err
	}
	defer r.end()
	s, err := r.settled()
	if err != nil {
		return "", err
	}
	if s.Phase != wire.PhaseBroken {
		return "", fmt.Errorf("the enclave is %s: %s", s.Phase, s.Reason)
	}
	if !slices.ContainsFunc(words, func(w string) bool { return bytes.Contains([]byte(s.Reason), []byte(w)) }) && len(words) > 0 {
		return "", fmt.Errorf("the reason does not say %q: %s", words, s.Reason)
	}
	if _, err := r.do(signPath, b.acknowledged, b.key); err == nil {
		return "", errors.New("a broken enclave serves requests")
	}
	return fmt.Sprintf("%s: %s", s.Phase, s.Reason), nil
}

// running boots an enclave on a copy of the state that it must accept.
func (b *base) running(h *enclavetest.Host) (*rig, error) {
	r, err := b.boot(b.dir, h)
	if err != nil {
		return nil, err
	}
	s, err := r.settled()
	if err == nil && s.Phase != wire.PhaseReady {
		err = fmt.Errorf("the enclave is %s: %s", s.Phase, s.Reason)
	}
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}
