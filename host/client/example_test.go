package client_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/host/client"
)

// What is pinned comes from elsewhere than the appliance's host: the root or
// the measurements, the quorum key, and the organization.
func Example() {
	ctx := context.Background()
	var localRoot *x509.Certificate
	trust, err := attestation.TrustLocal(localRoot) // or TrustAWS(measurements)
	if err != nil {
		fmt.Println(err)
		return
	}
	quorum, _ := client.ParseQuorumPublicKey("04...")
	key, _ := client.ParseAPIKey("02...", "...")
	c, err := client.New(client.Config{
		BaseURL: "https://appliance.example", Trust: trust, QuorumPublicKey: quorum,
		OrganizationID: "...", Key: key,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	export, err := c.ExportPrivateKey(ctx, "...", nil)
	var pending *client.PendingError
	if errors.As(err, &pending) {
		// Keep pending.Target; once the others have approved:
		export, err = c.CollectExport(ctx, pending.Activity.ID, pending.Target)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(export.Key.PublicKey, len(export.Secret))
	// Output: attestation: trusting the local platform needs its root certificate
}
