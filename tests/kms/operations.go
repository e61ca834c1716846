package kms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"github.com/sallyport/sallyport/attestation"
)

// request has the members of all three operations. Blobs are base64 in JSON.
type request struct {
	KeyID               string `json:"KeyId"`
	CiphertextBlob      []byte
	EncryptionAlgorithm string
	Recipient           *recipient
}

type recipient struct {
	AttestationDocument    []byte
	KeyEncryptionAlgorithm string
}

const (
	oaepSHA1   = "RSAES_OAEP_SHA_1"
	oaepSHA256 = "RSAES_OAEP_SHA_256"
	symmetric  = "SYMMETRIC_DEFAULT"

	maxCiphertext = 6144
	maxDocument   = 262144
	maxAge        = 5 * time.Minute // of a document
)

type decryptReply struct {
	KeyID                  string `json:"KeyId"`
	EncryptionAlgorithm    string
	Plaintext              []byte `json:",omitempty"`
	CiphertextForRecipient []byte `json:",omitempty"`
}

// decrypt judges in the order of KMS: what the request says by itself, the
// document, the policy, the state of the key, and last the ciphertext.
func (s *Server) decrypt(caller string, r *request) (any, *failure) {
	if refused := r.check(); refused != nil {
		return nil, refused
	}
	var doc *attestation.Document
	if r.Recipient != nil {
		var refused *failure
		if doc, refused = s.verify(r.Recipient.AttestationDocument); refused != nil {
			return nil, refused
		}
	}
	if refused := s.authorize(caller, "kms:Decrypt", r, doc); refused != nil {
		return nil, refused
	}
	if refused := s.usable(); refused != nil {
		return nil, refused
	}
	var h hash.Hash
	switch r.EncryptionAlgorithm {
	case oaepSHA256:
		h = sha256.New()
	case oaepSHA1:
		h = sha1.New()
	default:
		return nil, fail("InvalidKeyUsageException", "%s key usage is ENCRYPT_DECRYPT which is not valid for Decrypt with %s.", ARN, r.EncryptionAlgorithm)
	}
	plaintext, err := rsa.DecryptOAEP(h, nil, s.key, r.CiphertextBlob, nil)
	if err != nil {
		return nil, fail("InvalidCiphertextException", "")
	}
	return s.reply(r, doc, plaintext)
}

func (s *Server) reply(r *request, doc *attestation.Document, plaintext []byte) (any, *failure) {
	reply := &decryptReply{KeyID: ARN, EncryptionAlgorithm: r.EncryptionAlgorithm}
	if doc == nil {
		reply.Plaintext = plaintext
		return reply, nil
	}
	s.mu.Lock()
	s.answers++
	atOnce := s.answers%2 == 0
	s.mu.Unlock()
	sealed, err := answer(doc.PublicKey, plaintext, atOnce)
	if err != nil {
		return nil, fail("ValidationException", "%v", err)
	}
	reply.CiphertextForRecipient = sealed
	return reply, nil
}

// check is what KMS says before it looks at the key.
func (r *request) check() *failure {
	if refused := r.checkKey(); refused != nil {
		return refused
	}
	if r.EncryptionAlgorithm == "" {
		r.EncryptionAlgorithm = symmetric
	}
	switch {
	case len(r.CiphertextBlob) == 0 || len(r.CiphertextBlob) > maxCiphertext:
		return invalid("ciphertextBlob", "must have length between 1 and 6144")
	case r.EncryptionAlgorithm != oaepSHA1 && r.EncryptionAlgorithm != oaepSHA256 && r.EncryptionAlgorithm != symmetric:
		return invalid("encryptionAlgorithm", "must satisfy enum value set")
	case r.Recipient == nil:
		return nil
	case r.Recipient.KeyEncryptionAlgorithm != oaepSHA256:
		return invalid("recipient.keyEncryptionAlgorithm", "must satisfy enum value set")
	case len(r.Recipient.AttestationDocument) == 0 || len(r.Recipient.AttestationDocument) > maxDocument:
		return invalid("recipient.attestationDocument", "must have length between 1 and 262144")
	}
	return nil
}

func (r *request) checkKey() *failure {
	switch r.KeyID {
	case "":
		return invalid("keyId", "must not be null")
	case ARN, keyID:
		return nil
	}
	return fail("NotFoundException", "Key '%s' does not exist", r.KeyID)
}

func invalid(field, rule string) *failure {
	return fail("ValidationException", "1 validation error detected: Value at '%s' failed to satisfy constraint: Member %s", field, rule)
}

// verify believes a document that was made within the last five minutes, under a
// certificate that is valid now.
func (s *Server) verify(document []byte) (*attestation.Document, *failure) {
	doc, err := attestation.VerifyArchived(document, s.trust, attestation.Expect{Kind: attestation.KindKMS})
	if err != nil {
		return nil, fail("ValidationException", "%v", err)
	}
	now := s.now()
	switch {
	case now.Sub(doc.Timestamp) > maxAge:
		return nil, fail("ValidationException", "The attestation document is too old.")
	case doc.Timestamp.Sub(now) > maxAge:
		return nil, fail("ValidationException", "The attestation document is from the future.")
	case now.After(doc.LeafNotAfter):
		return nil, fail("ValidationException", "The certificate of the attestation document has expired.")
	}
	return doc, nil
}

// authorize asks the key policy.
func (s *Server) authorize(caller, action string, r *request, doc *attestation.Document) *failure {
	keys := conditionKeys{"aws:principalarn": caller}
	if r.EncryptionAlgorithm != "" {
		keys["kms:encryptionalgorithm"] = r.EncryptionAlgorithm
	}
	if doc != nil {
		for index, value := range doc.PCRs {
			keys[fmt.Sprintf("kms:recipientattestation:pcr%d", index)] = hex.EncodeToString(value)
		}
		keys["kms:recipientattestation:imagesha384"] = hex.EncodeToString(doc.PCRs[0])
	}
	s.mu.Lock()
	p := s.policy
	s.mu.Unlock()
	why := "because no resource-based policy allows the " + action + " action"
	switch p.decide(caller, action, keys) {
	case allowed:
		return nil
	case denied:
		why = "with an explicit deny in a resource-based policy"
	}
	return fail("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s %s", caller, action, ARN, why)
}

// usable is the table of key states for cryptographic operations.
func (s *Server) usable() *failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case disabled:
		return fail("DisabledException", "%s is disabled.", ARN)
	case pendingDeletion:
		return fail("KMSInvalidStateException", "%s is pending deletion.", ARN)
	}
	return nil
}

func (s *Server) getPublicKey(caller string, r *request) (any, *failure) {
	if refused := r.checkKey(); refused != nil {
		return nil, refused
	}
	if refused := s.authorize(caller, "kms:GetPublicKey", r, nil); refused != nil {
		return nil, refused
	}
	if refused := s.usable(); refused != nil {
		return nil, refused
	}
	return map[string]any{
		"KeyId": ARN, "PublicKey": s.PublicKey(), "KeySpec": s.spec(), "CustomerMasterKeySpec": s.spec(),
		"KeyUsage": "ENCRYPT_DECRYPT", "EncryptionAlgorithms": []string{oaepSHA1, oaepSHA256},
	}, nil
}

func (s *Server) describeKey(caller string, r *request) (any, *failure) {
	if refused := r.checkKey(); refused != nil {
		return nil, refused
	}
	if refused := s.authorize(caller, "kms:DescribeKey", r, nil); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]any{"KeyMetadata": map[string]any{
		"Arn": ARN, "KeyId": keyID, "AWSAccountId": Account, "CreationDate": 1.7e9, "Enabled": s.state == enabled,
		"KeyState": s.state, "KeyManager": "CUSTOMER", "KeySpec": s.spec(), "CustomerMasterKeySpec": s.spec(),
		"KeyUsage": "ENCRYPT_DECRYPT", "EncryptionAlgorithms": []string{oaepSHA1, oaepSHA256}, "Origin": "AWS_KMS", "MultiRegion": false,
	}}, nil
}

func (s *Server) spec() string { return fmt.Sprintf("RSA_%d", s.key.N.BitLen()) }

// encryptTo wraps a content key to the key of a document.
func encryptTo(public, secret []byte) ([]byte, error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	return rsa.EncryptOAEP(sha256.New(), rand.Reader, key.(*rsa.PublicKey), secret, nil)
}
