package wire

import "context"

// A KeyService is a [Host] that asks a key management service for the enclave. It is
// called while the root is awaited. What it answers may be the host's own.
type KeyService interface {
	// DecryptByKMS has the service decrypt a ciphertext for the enclave that attests
	// itself, and returns what only that enclave opens. [PermissionDenied] is the
	// service's refusal, [NotFound] that there is no such key.
	DecryptByKMS(context.Context, *KMSQuestion) (*KMSAnswer, error)
}

// KMSQuestion is a call of Decrypt with a recipient.
type KMSQuestion struct {
	KeyID      string `cbor:"1,keyasint"` // ARN
	Ciphertext []byte `cbor:"2,keyasint"` // RSAES-OAEP with SHA-256
	Document   []byte `cbor:"3,keyasint"` // attestation document that names the recipient's RSA key
}

// KMSAnswer is what the service gave.
type KMSAnswer struct {
	CiphertextForRecipient []byte `cbor:"1,keyasint"` // CMS EnvelopedData (RFC 5652)
}

// Limits of a KMSQuestion and its answer.
const (
	maxKeyID         = 256
	maxKMSCiphertext = 1 << 10
	maxKMSDocument   = 16 << 10
	maxKMSAnswer     = 6144 // as AWS documents it
)

func (q *KMSQuestion) valid() error {
	switch {
	case q.KeyID == "" || len(q.KeyID) > maxKeyID || !graphic(q.KeyID):
		return Errorf(InvalidArgument, "", "key id must be an ARN")
	case len(q.Ciphertext) > maxKMSCiphertext || len(q.Document) > maxKMSDocument:
		return Errorf(InvalidArgument, ReasonLength, "ciphertext and document have at most %d and %d bytes", maxKMSCiphertext, maxKMSDocument)
	}
	return nil
}

func keyServiceHandlers(s KeyService) map[method]handler {
	return map[method]handler{
		methodDecryptByKMS: handle(hostCodec, methodDecryptByKMS, func(ctx context.Context, q *KMSQuestion) (*KMSAnswer, error) {
			if err := q.valid(); err != nil {
				return nil, err
			}
			return s.DecryptByKMS(ctx, q)
		}),
	}
}

// DecryptByKMS implements [KeyService].
func (c *HostClient) DecryptByKMS(ctx context.Context, q *KMSQuestion) (*KMSAnswer, error) {
	if err := q.valid(); err != nil {
		return nil, err
	}
	got, err := call[KMSAnswer](ctx, c.client, methodDecryptByKMS, q)
	if err == nil && len(got.CiphertextForRecipient) > maxKMSAnswer {
		return nil, Errorf(Unavailable, ReasonLength, "the host's answer has more than %d bytes", maxKMSAnswer)
	}
	return got, err
}
