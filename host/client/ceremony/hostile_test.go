package ceremony_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/sallyport/sallyport/attestation/sharing"
	"github.com/sallyport/sallyport/enclave/wire"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// share opens a holder's share as only the holder can.
func (w *world) share(holder *ecdh.PrivateKey) []byte {
	w.Helper()
	d, err := sharing.Parse(w.outcome.Sharing)
	if err != nil {
		w.Fatal(err)
	}
	s, err := d.Open(holder)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// A tap is a host that keeps what crosses.
type tap struct {
	wire.Enclave
	share string // the last one posted
	seen  bytes.Buffer
}

func (t *tap) Do(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	if strings.HasSuffix(req.Path, "/share") {
		t.share = string(req.Body)
	}
	t.seen.Write(req.Body)
	reply, err := t.Enclave.Do(ctx, req)
	if reply != nil {
		t.seen.Write(reply.Body)
	}
	return reply, err
}

// A swap is a host that puts another enclave's answer in place of a part.
type swap struct {
	wire.Enclave
	other                 wire.Enclave
	proof, fresh, sharing bool
	posted                bool
}

func (s *swap) Do(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	s.posted = s.posted || strings.HasSuffix(req.Path, "/share")
	reply, err := s.Enclave.Do(ctx, req)
	if err != nil || !strings.HasSuffix(req.Path, "/receiver") {
		return reply, err
	}
	theirs, err := s.other.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	var mine, instead map[string]json.RawMessage
	if json.Unmarshal(reply.Body, &mine) != nil || json.Unmarshal(theirs.Body, &instead) != nil {
		return reply, nil
	}
	for name, on := range map[string]bool{"proof": s.proof, "freshAttestation": s.fresh, "sharing": s.sharing} {
		if on {
			mine[name] = instead[name]
		}
	}
	reply.Body, err = json.Marshal(mine)
	return reply, err
}
