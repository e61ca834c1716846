package wire

import "context"

// A ManifestSource is a [Host] that also has the manifest of the enclave's boot. The
// enclave asks for it once, at its start, before anything else.
type ManifestSource interface {
	// BootManifest returns a signed manifest, as a file of the attestation package.
	// Without one it is [NotFound].
	BootManifest(context.Context) ([]byte, error)
}

// maxManifest bounds a signed manifest. The attestation package allows 80 KiB.
const maxManifest = 128 << 10

type manifestResult struct {
	Manifest []byte `cbor:"1,keyasint"`
}

func manifestHandlers(s ManifestSource) map[method]handler {
	return map[method]handler{
		methodBootManifest: handle(hostCodec, methodBootManifest, func(ctx context.Context, _ *nothing) (*manifestResult, error) {
			b, err := s.BootManifest(ctx)
			if err == nil && len(b) > maxManifest {
				err = Errorf(FailedPrecondition, ReasonLength, "the manifest has more than %d bytes", maxManifest)
			}
			return &manifestResult{b}, err
		}),
	}
}

// BootManifest implements [ManifestSource].
func (c *HostClient) BootManifest(ctx context.Context) ([]byte, error) {
	got, err := call[manifestResult](ctx, c.client, methodBootManifest, &nothing{})
	if err != nil {
		return nil, err
	}
	return got.Manifest, nil
}
