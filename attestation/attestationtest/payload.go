package attestationtest

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/attestation"
)

// ModuleID is the module_id of documents that say no other.
const ModuleID = "i-00000000000000000-enc0000000000000000"

// Payload is what a document says. Zero fields get the value of a genuine
// document of the local platform: [ModuleID], the time of the PKI, SHA384, and
// registers 0 to 15 with the local measurements. Nil options become CBOR null.
type Payload struct {
	ModuleID                   string
	Timestamp                  time.Time
	Digest                     string
	PCRs                       map[int][]byte
	UserData, Nonce, PublicKey []byte
}

// Boot returns the payload of a boot document: all 32 registers, with the
// commitments to the 130-byte public key and the hash of the manifest.
func Boot(publicKey, manifestHash []byte) Payload {
	pcrs := PCRs(attestation.PCRCount)
	pcrs[attestation.PCRBootKey] = attestation.ExtendPCR(nil, attestation.BootKeyCommitment(publicKey[:65], manifestHash))
	pcrs[attestation.PCRLive] = attestation.ExtendPCR(nil, attestation.LiveCommitment(publicKey, manifestHash))
	pcrs[attestation.PCRManifest] = attestation.ExtendPCR(nil, manifestHash)
	return Payload{PCRs: pcrs, PublicKey: publicKey, UserData: manifestHash}
}

// Challenge returns the payload of a challenge document.
func Challenge(publicKey, manifestHash, root []byte) Payload {
	p := Boot(publicKey, manifestHash)
	p.Nonce = root
	return p
}

// PCRs returns the first registers of a local enclave: the local measurements,
// then zeros, but for register 4, which hardware always sets.
func PCRs(count int) map[int][]byte {
	m := attestation.LocalMeasurements()
	pcrs := map[int][]byte{}
	for i := range count {
		pcrs[i] = make([]byte, attestation.PCRSize)
	}
	pcrs[0], pcrs[1], pcrs[2] = m.PCR0[:], m.PCR1[:], m.PCR2[:]
	pcrs[4] = attestation.ExtendPCR(nil, []byte("i-00000000000000000"))
	return pcrs
}

// BootKeys returns the public_key of a boot document, two random keys on P-256.
func (p *PKI) BootKeys() []byte {
	p.tb.Helper()
	var keys []byte
	for range 2 {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			p.tb.Fatalf("making a key: %v", err)
		}
		keys = append(keys, key.PublicKey().Bytes()...)
	}
	return keys
}

// ManifestHash returns some 32 bytes that stand for a manifest.
func ManifestHash(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func (p *PKI) fill(payload Payload) Payload {
	if payload.ModuleID == "" {
		payload.ModuleID = ModuleID
	}
	if payload.Timestamp.IsZero() {
		payload.Timestamp = p.Now
	}
	if payload.Digest == "" {
		payload.Digest = "SHA384"
	}
	if payload.PCRs == nil {
		payload.PCRs = PCRs(16)
	}
	return payload
}

// members are the members of the payload in the order of hardware, each with
// its value in CBOR.
type member struct {
	name  string
	value []byte
}

func (p *plan) members(payload Payload) []member {
	var pcrs []byte
	count := 0
	for i := range 256 {
		if value, ok := payload.PCRs[i]; ok {
			pcrs = append(pcrs, Uint(uint64(i))...)
			pcrs = append(pcrs, Bytes(value)...)
			count++
		}
	}
	if count != len(payload.PCRs) {
		panic(fmt.Sprintf("%d registers with an index that is not 0 to 255", len(payload.PCRs)-count))
	}
	bundle := Head(majorArray, uint64(len(p.bundle)))
	for _, der := range p.bundle {
		bundle = append(bundle, Bytes(der)...)
	}
	return []member{
		{"module_id", Text(payload.ModuleID)},
		{"digest", Text(payload.Digest)},
		{"timestamp", Uint(uint64(payload.Timestamp.UnixMilli()))},
		{"pcrs", append(Head(majorMap, uint64(count)), pcrs...)},
		{"certificate", Bytes(p.leaf.Raw)},
		{"cabundle", bundle},
		{"public_key", option(payload.PublicKey)},
		{"user_data", option(payload.UserData)},
		{"nonce", option(payload.Nonce)},
	}
}
