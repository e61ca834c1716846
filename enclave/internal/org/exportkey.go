package org

import (
	"context"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/enclave/internal/export"
	"github.com/sallyport/sallyport/enclave/internal/keys"
)

type exportIntent struct {
	PrivateKeyID    string `json:"privateKeyId" strict:"required"`
	TargetPublicKey string `json:"targetPublicKey" strict:"required"`

	target []byte // SEC 1 uncompressed, 65 bytes
}

// An exportResult is what the journal keeps of an export. It holds no secret:
// data is encrypted to the target key.
type exportResult struct {
	Data      []byte `cbor:"1,keyasint"` // the signed data of the bundle
	Signature []byte `cbor:"2,keyasint"` // by the quorum key, ASN.1 DER
	Document  []byte `cbor:"3,keyasint"` // name of the blob with the boot's attestation document
	Manifest  []byte `cbor:"4,keyasint"` // name of the blob with the manifest: its hash
	Payload   []byte `cbor:"5,keyasint"` // of the attestation proof
	Proof     []byte `cbor:"6,keyasint"` // r || s over payload by the ephemeral key
	PublicKey []byte `cbor:"7,keyasint"` // 130 bytes: boot key and ephemeral key
	Quorum    []byte `cbor:"8,keyasint"` // public quorum key, 65 bytes
	// Evidence is the document and the manifest themselves, of a key group: the
	// members do not have each other's blobs.
	Evidence [][]byte `cbor:"9,keyasint,omitempty"`
}

var exportPrivateKey = define("export_private_key",
	map[string]string{"ACTIVITY_TYPE_EXPORT_PRIVATE_KEY": "exportPrivateKeyIntent"},
	spec[exportIntent, *privateKey, exportResult]{
		valid:   validExport,
		check:   checkExport,
		execute: executeExport,
		joint:   jointlyExport,
		verify:  verifyExported,
		record:  recordExport,
		begin: func(o *organization, in *exportIntent) {
			if k := o.findKey(in.PrivateKeyID); k != nil {
				k.exported = true // whatever becomes of it
			}
		},
		apply: func(o *organization, _ made, in *exportIntent, _ exportResult) {
			if k := o.findKey(in.PrivateKeyID); k != nil {
				k.exported = true
			}
		},
		result: func(_ job, in *exportIntent, r exportResult) (string, any) {
			return "exportPrivateKeyResult", &exportView{PrivateKeyID: in.PrivateKeyID, result: r}
		},
	})

func validExport(in *exportIntent) error {
	if _, ok := parseID(in.PrivateKeyID); !ok {
		return bad("bad request body: parameters.privateKeyId must be a lower-case UUID")
	}
	var err error
	if in.target, err = export.ParseTarget(in.TargetPublicKey); err != nil {
		return bad("bad request body: parameters.%v", err)
	}
	return nil
}

func checkExport(o *organization, in *exportIntent) (*privateKey, error) {
	k := o.findKey(in.PrivateKeyID)
	if k == nil {
		return nil, notFound("parameters.privateKeyId: no such private key")
	}
	return k, o.group.checkJointExport(k)
}

// executeExport combines the key and seals it to the target key.
func executeExport(ctx context.Context, s *Service, j job, in *exportIntent, k *privateKey) (exportResult, error) {
	var out exportResult
	envelope, err := export.NewEnvelope(s.Rand, in.target)
	if err == nil {
		err = s.shares.use(ctx, j.org, k, func(secret *keys.Secret) error { return envelope.Seal(secret.Expose()) })
	}
	if err != nil {
		return out, err
	}
	if out.Data, err = envelope.Data(j.org.String()); err != nil {
		return out, err
	}
	if out.Signature, err = bundle.Sign(s.Quorum, out.Data); err != nil {
		return out, err
	}
	out.Document, out.Manifest, err = s.keepEvidence(ctx)
	return out, err
}

// recordExport signs the proof of the export, which names the journal entry
// that will hold it.
func recordExport(s *Service, j job, in *exportIntent, k *privateKey, r exportResult, at position) (exportResult, error) {
	payload, proof, err := s.exportProof(j, in.target, k, r.Data, at)
	if err != nil {
		return r, err
	}
	r.Payload, r.Proof, r.PublicKey = payload, proof, s.Boot.PublicKey
	r.Quorum = s.Boot.QuorumPublic
	return r, nil
}
