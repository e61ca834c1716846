package ceremony

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/enclave/wire"
)

// AskManifest gets the manifest of this boot from the host, and waits until it has
// one. The host may give any: what it gives is judged by its signatures, stands in
// every document of this boot, and opens nothing that was not made under it or a manifest before it.
func AskManifest(ctx context.Context, host wire.ManifestSource) ([]byte, error) {
	for {
		b, err := host.BootManifest(ctx)
		if err == nil {
			return b, nil
		}
		refusal, ok := errors.AsType[*wire.Error](err)
		if ok && refusal.Code != wire.Unavailable && refusal.Code != wire.NotFound {
			return nil, fmt.Errorf("asking the host for the manifest: %w", err)
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}
