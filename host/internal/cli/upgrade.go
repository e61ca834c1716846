package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/host/client/ceremony"
)

type upgradeCommand struct {
	ceremonyFlags    `embed:""`
	Passphrase       `embed:""`
	Key              string `required:"" placeholder:"FILE|URI" help:"Your operator's key: one operator asks for it, because it stops the running enclave."`
	NextURL          string `name:"next-url" required:"" placeholder:"URL" help:"Where the new enclave is reached: the host's --next-listen."`
	NextManifest     string `required:"" type:"path" placeholder:"FILE" help:"The signed manifest that the new enclave booted under: the same, or a successor."`
	NextMeasurements string `type:"path" placeholder:"FILE" help:"The new images, as for --measurements (default: the same)."`
}

// Run has the running enclave hand the root over, step by step.
func (c *upgradeCommand) Run(ctx context.Context, s *Streams) error {
	return explain(c.run(ctx, s))
}

func (c *upgradeCommand) run(ctx context.Context, s *Streams) error {
	from, err := c.client(s)
	if err != nil {
		return err
	}
	to, err := c.next(s)
	if err != nil {
		return err
	}
	next, err := to.Signed.Verify()
	if err != nil {
		return err
	}
	now, err := from.Signed.Verify()
	if err != nil {
		return err
	}
	se := &session{Streams: s, json: c.JSON}
	se.note("1. manifest of version %d, after version %d", next.Version, now.Version)
	if next.Version != now.Version {
		if err := to.Signed.Succeeds(now); err != nil {
			return err
		}
		se.note("   signed by the operators of version %d and of version %d", now.Version, next.Version)
	}
	before, err := c.status(ctx, c.BaseURL, from, now)
	if err != nil {
		return err
	}
	se.note("2. the running enclave is %s, with a journal of %d entries", before.Phase, before.JournalSize)
	if before.Phase != wire.PhaseReady {
		return usage("its holders give the root to the new enclave: sallyport ceremony provision", "the running enclave is %s: it cannot hand a root over", before.Phase)
	}
	operator, err := c.readPersonKey(c.Key, s)
	if err != nil {
		return err
	}
	se.note("3. the new enclave attests, over a nonce of the running one; that one records it, serves no more, and gives the root")
	if err := ceremony.Handover(ctx, from, to, operator); err != nil {
		return err
	}
	after, err := c.status(ctx, c.NextURL, to, next)
	if err != nil {
		return err
	}
	se.note("4. the new enclave is %s, with a journal of %d entries", after.Phase, after.JournalSize)
	if after.Phase != wire.PhaseReady || after.JournalSize <= before.JournalSize || !bytes.Equal(after.ManifestHash, attestation.Hash(to.Signed.Manifest)) {
		return &Error{Code: ExitUnverified, Hint: "holders give the root again: sallyport ceremony provision", cause: errors.New(
			"the new enclave does not go on from the old one, or not under its manifest: " + after.Reason)}
	}
	return se.show(struct {
		Phase        wire.Phase `json:"phase"`
		ManifestHash string     `json:"manifestHash"`
		JournalSize  uint64     `json:"journalSize,string"`
	}{after.Phase, hex.EncodeToString(after.ManifestHash), after.JournalSize}, func(p *printer) {
		p.line("%s", "the root was handed over; point clients at the new enclave, and stop the old one")
	})
}

func (c *upgradeCommand) next(s *Streams) (*ceremony.Client, error) {
	other := c.ceremonyFlags
	other.BaseURL, other.Manifest = c.NextURL, c.NextManifest
	if c.NextMeasurements != "" {
		other.Measurements = c.NextMeasurements
	}
	return other.client(&Streams{Out: s.Out, Err: discard{}, Getenv: s.Getenv}) // the warning was given
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// startWait is how long an enclave that has its root may read its journal.
const startWait = 2 * time.Minute

// status verifies what an enclave says of itself, once it has come to an end of its start.
func (c *upgradeCommand) status(ctx context.Context, base string, cl *ceremony.Client, m *attestation.Manifest) (*client.Status, error) {
	v, err := client.New(client.Config{BaseURL: base, Trust: cl.Trust, QuorumPublicKey: m.QuorumPublicKey})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		st, err := v.Status(ctx)
		var host *client.HostError
		var proof *client.ProofError
		starting := errors.As(err, &host) || errors.As(err, &proof) && proof.Reason == client.ReasonMissing
		if !starting {
			return st, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
