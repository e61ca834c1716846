package enclavetest

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/internal/mpc/engine"
	"github.com/sallyport/sallyport/enclave/internal/mpc/mpctest"
	"github.com/sallyport/sallyport/enclave/wire"
)

// AdminToken is the admin's at every node of [NewNodes].
const AdminToken = "admin-token-of-tests"

// NewNodes makes enclaves that name each other as peers and serve the node
// API, on one relay. Their engine runs in this process, with pre-parameters
// that were made once. Operations that change more than a relay may want a stamp
// are named by bearerMay.
func NewNodes(t testing.TB, n int, network wire.Network, bearerMay []string, options Options) []*Enclave {
	t.Helper()
	options.Network, options.PreParams = network, &mpctest.Taker{}
	if options.Engine == nil {
		options.Engine = engine.New()
	}
	nodes := make([]*Enclave, n)
	manifests := make([]*attestation.Manifest, n)
	for i := range nodes {
		o := options
		o.Host = NewHost()
		nodes[i] = New(t, o)
		m, err := attestation.ParseManifest(nodes[i].Manifest)
		if err != nil {
			t.Fatal(err)
		}
		manifests[i] = m
	}
	token := sha256.Sum256([]byte(AdminToken))
	for i, m := range manifests {
		next := *m
		next.Version++
		next.NodeAPI = &attestation.NodeAPI{AdminTokenSHA256: token[:], BearerMay: bearerMay, Backup: true}
		if options.KeyGroup > 0 {
			next.KeyGroup = &attestation.KeyGroup{Threshold: int64(options.KeyGroup)}
		}
		for j, other := range manifests {
			if j != i {
				next.Peers = append(next.Peers, attestation.Peer{
					Name: fmt.Sprintf("node %d", j), QuorumPublicKey: other.QuorumPublicKey, Measurements: other.Measurements,
					AttestationRoot: nodes[j].module.Root().Raw,
				})
			}
		}
		nodes[i].Manifest = next.Encode()
	}
	for i, e := range nodes {
		if status := e.Restart(t); status.Phase != wire.PhaseReady {
			t.Fatalf("node %d is %s: %s", i, status.Phase, status.Reason)
		}
	}
	return nodes
}

// NewRelay makes a relay in memory that loses nothing.
func NewRelay() wire.Network { return mpctest.NewRelay() }
