package ceremony

import (
	"context"
	"encoding/hex"
	"encoding/json"

	"github.com/sallyport/sallyport/enclave/internal/platform"
	"github.com/sallyport/sallyport/enclave/wire"
)

// statusPath answers in every phase and needs no stamp.
const statusPath = "/sallyport/v1/status"

const httpOK = 200 // RFC 9110, section 15.3.1

// Status describes the enclave.
func (a *Appliance) Status(context.Context) (*wire.Status, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	st := &wire.Status{
		Version: a.version, Phase: a.phase, Reason: a.reason, Assurance: string(a.platform.Assurance),
		Time: a.platform.Now().UnixMilli(), Warnings: a.warnings(),
	}
	if a.boot != nil {
		st.Manifest, st.AttestationDocument = a.boot.Manifest, a.boot.Document()
		st.QuorumPublicKey = hex.EncodeToString(a.boot.QuorumPublic)
		st.Epoch = uint64(a.manifest.Epoch)
	}
	if a.journal != nil {
		size, head := a.journal.Head()
		st.JournalSize, st.JournalHead = size, hex.EncodeToString(head[:])
	}
	return st, nil
}

func (a *Appliance) statusReply(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	st, err := a.Status(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	reply := &wire.Reply{Status: httpOK, Body: body}
	a.mu.RLock()
	service := a.service
	a.mu.RUnlock()
	if service == nil {
		return reply, nil
	}
	return service.Prove(req, reply)
}

// warnings say what does not hold here; the caller holds a.mu.
func (a *Appliance) warnings() []string {
	var w []string
	if a.platform.Assurance == platform.Local {
		w = append(w, "local platform: documents are signed by a key on this machine and the root lies on its disk; it protects nothing")
	}
	if a.manifest != nil {
		if a.manifest.Flags.Unsigned {
			w = append(w, "the manifest is unsigned: it names no operators")
		}
		if a.manifest.Flags.OpenOrganizations {
			w = append(w, "the manifest opens organizations: anybody may found one")
		}
		w = append(w, a.manifest.Relaxations()...)
		w = append(w, "the manifest names no witnesses: a host that restarts the enclave on an old journal is not noticed")
	}
	return w
}
