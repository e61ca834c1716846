// Package kms carries an enclave's request to AWS KMS and the answer back, and
// prints the key policy that lets enclaves, and nobody else, have answers.
//
// The host is not trusted with either: the ciphertext opens only for KMS, KMS
// answers only to the key in an attestation document, and the enclave checks what
// came out. A host that lies here can stop an enclave from starting, no more.
package kms

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// maxAnswer is what AWS documents as the most bytes of a CiphertextForRecipient.
const maxAnswer = 6144

// Options vary a Client. The zero value calls AWS.
type Options struct {
	// Endpoint is the URL of KMS; "" is that of AWS for the key's region.
	Endpoint string
	// Attempts is how often a request is tried while KMS is unavailable; 0 is 3.
	Attempts int
}

// Client calls KMS under the credentials that the AWS SDK finds: environment,
// files, or the role of the instance. It is safe for concurrent use.
type Client struct {
	api *kms.Client
}

// New makes a Client. It calls nobody.
func New(ctx context.Context, o Options) (*Client, error) {
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(o.Attempts))
	if err != nil {
		return nil, fmt.Errorf("kms: AWS configuration: %w", err)
	}
	return &Client{api: kms.NewFromConfig(loaded, func(k *kms.Options) {
		if o.Endpoint != "" {
			k.BaseEndpoint = aws.String(o.Endpoint)
		}
	})}, nil
}

// Decrypt has KMS decrypt a ciphertext of RSAES-OAEP with SHA-256 for the enclave
// that made an attestation document. It returns KMS's CiphertextForRecipient: CMS,
// which only that enclave opens. The key is named by its ARN, whose region says
// where to call.
//
// The errors are [ErrNotAllowed], [ErrNoSuchKey], [ErrUnavailable] and
// [ErrRefused], with what KMS says.
func (c *Client) Decrypt(ctx context.Context, keyARN string, ciphertext, document []byte) (ciphertextForRecipient []byte, err error) {
	key, err := parseKeyARN(keyARN)
	if err != nil {
		return nil, err
	}
	reply, err := c.api.Decrypt(ctx, &kms.DecryptInput{
		KeyId:               aws.String(keyARN),
		CiphertextBlob:      ciphertext,
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256,
		Recipient: &types.RecipientInfo{
			AttestationDocument:    document,
			KeyEncryptionAlgorithm: types.KeyEncryptionMechanismRsaesOaepSha256,
		},
	}, key.inRegion)
	if err != nil {
		return nil, classify("Decrypt", err)
	}
	if len(reply.Plaintext) > 0 {
		// What KMS would do if it did not take documents for this kind of key. The
		// secret has been seen by its host and must not become a root.
		clear(reply.Plaintext)
		return nil, fmt.Errorf("%w: Decrypt: KMS answered to the host and not to the enclave", ErrRefused)
	}
	if n := len(reply.CiphertextForRecipient); n == 0 || n > maxAnswer {
		return nil, fmt.Errorf("%w: Decrypt: CiphertextForRecipient has %d bytes, not 1 to %d", ErrUnavailable, n, maxAnswer)
	}
	return reply.CiphertextForRecipient, nil
}

// PublicKey returns the public half of a key as DER SubjectPublicKeyInfo, for
// people who write a manifest. It fails as Decrypt does, and with [ErrRefused] when
// the key is not one for RSAES-OAEP with SHA-256.
func (c *Client) PublicKey(ctx context.Context, keyARN string) ([]byte, error) {
	key, err := parseKeyARN(keyARN)
	if err != nil {
		return nil, err
	}
	reply, err := c.api.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String(keyARN)}, key.inRegion)
	if err != nil {
		return nil, classify("GetPublicKey", err)
	}
	for _, algorithm := range reply.EncryptionAlgorithms {
		if algorithm == types.EncryptionAlgorithmSpecRsaesOaepSha256 {
			return reply.PublicKey, nil
		}
	}
	return nil, fmt.Errorf("%w: GetPublicKey: the key must be an RSA key for encryption and decryption", ErrRefused)
}
