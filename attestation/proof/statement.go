package proof

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"

	"github.com/sallyport/sallyport/attestation/strictjson"
)

// TypeExport is the type of an [ExportStatement]'s payload.
const TypeExport = "APP_PROOF_TYPE_EXPORT"

// ExportStatement says what one export did: which data was sealed, which key
// it holds, to whom, and which activity of which journal asked for it. It is
// the payload of the [AppProof] in an export bundle.
type ExportStatement struct {
	// TimestampMs is the enclave's time of the export, Unix milliseconds.
	TimestampMs int64
	// DataHash is SHA-256 of the bundle's signed data, the decoded bytes.
	DataHash [32]byte
	// OrganizationID is a UUID in its canonical lower-case form.
	OrganizationID string
	// PrivateKeyID is the key's id: 1 to 128 printable ASCII characters.
	PrivateKeyID string
	// PublicKey is the exported key's public key as the API shows it, in
	// hex: 33 bytes compressed, or 32 bytes for Ed25519.
	PublicKey string
	// TargetPublicKey is the recipient's key: SEC 1 uncompressed, 65 bytes.
	TargetPublicKey []byte
	// ActivityFingerprint is "sha256:" and 64 hex digits.
	ActivityFingerprint string
	// QuorumPublicKey is the appliance's: SEC 1 uncompressed, 65 bytes.
	QuorumPublicKey []byte
	// JournalIndex is the entry that records the export.
	JournalIndex uint64
}

// exportPayload is the JSON of an ExportStatement. The order of the members
// is part of the format.
type exportPayload struct {
	Type        string     `json:"type" strict:"required"`
	TimestampMs decimal    `json:"timestampMs" strict:"required"`
	ExportProof exportBody `json:"exportProof" strict:"required"`
}

type exportBody struct {
	DataHash            strictjson.Hex `json:"dataHash" strict:"required"`
	OrganizationID      string         `json:"organizationId" strict:"required"`
	PrivateKeyID        string         `json:"privateKeyId" strict:"required"`
	PublicKey           string         `json:"publicKey" strict:"required"`
	TargetPublicKey     strictjson.Hex `json:"targetPublicKey" strict:"required"`
	ActivityFingerprint string         `json:"activityFingerprint" strict:"required"`
	QuorumPublicKey     strictjson.Hex `json:"quorumPublicKey" strict:"required"`
	JournalIndex        decimal        `json:"journalIndex" strict:"required"`
}

var (
	uuidForm        = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)
	keyIDForm       = regexp.MustCompile(`\A[!-~]{1,128}\z`)
	publicKeyForm   = regexp.MustCompile(`\A(0[23])?[0-9a-f]{64}\z`)
	fingerprintForm = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)
)

// Encode returns the payload bytes, or an error that names the member that
// has not its form.
func (s ExportStatement) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return strictjson.Marshal(exportPayload{
		Type:        TypeExport,
		TimestampMs: decimal(s.TimestampMs),
		ExportProof: exportBody{
			DataHash:            s.DataHash[:],
			OrganizationID:      s.OrganizationID,
			PrivateKeyID:        s.PrivateKeyID,
			PublicKey:           s.PublicKey,
			TargetPublicKey:     s.TargetPublicKey,
			ActivityFingerprint: s.ActivityFingerprint,
			QuorumPublicKey:     s.QuorumPublicKey,
			JournalIndex:        decimal(s.JournalIndex),
		},
	})
}

// ParseExportStatement reads payload bytes. It refuses everything that
// [ExportStatement.Encode] would not have written in exactly these bytes.
func ParseExportStatement(payload []byte) (ExportStatement, error) {
	var p exportPayload
	if err := strictjson.Decode(payload, &p); err != nil {
		return ExportStatement{}, err
	}
	if p.Type != TypeExport {
		return ExportStatement{}, errors.New("type: must be " + TypeExport)
	}
	e := p.ExportProof
	if len(e.DataHash) != 32 {
		return ExportStatement{}, errors.New("exportProof.dataHash: must be 32 bytes")
	}
	s := ExportStatement{
		TimestampMs:         int64(p.TimestampMs),
		DataHash:            [32]byte(e.DataHash),
		OrganizationID:      e.OrganizationID,
		PrivateKeyID:        e.PrivateKeyID,
		PublicKey:           e.PublicKey,
		TargetPublicKey:     e.TargetPublicKey,
		ActivityFingerprint: e.ActivityFingerprint,
		QuorumPublicKey:     e.QuorumPublicKey,
		JournalIndex:        uint64(e.JournalIndex),
	}
	again, err := s.Encode()
	if err != nil {
		return ExportStatement{}, err
	}
	if !bytes.Equal(again, payload) {
		return ExportStatement{}, errors.New("the statement must be in its canonical form")
	}
	return s, nil
}

func (s ExportStatement) check() error {
	switch {
	case s.TimestampMs <= 0:
		return errors.New("timestampMs: must be positive")
	case !uuidForm.MatchString(s.OrganizationID):
		return errors.New("exportProof.organizationId: must be a lower-case UUID")
	case !keyIDForm.MatchString(s.PrivateKeyID):
		return errors.New("exportProof.privateKeyId: must be 1 to 128 printable ASCII characters")
	case !publicKeyForm.MatchString(s.PublicKey):
		return errors.New("exportProof.publicKey: must be 33 bytes compressed or 32 bytes of Ed25519, in lower-case hex")
	case !fingerprintForm.MatchString(s.ActivityFingerprint):
		return errors.New("exportProof.activityFingerprint: must be sha256: and 64 lower-case hex digits")
	}
	if err := checkPoint("exportProof.targetPublicKey", s.TargetPublicKey); err != nil {
		return err
	}
	return checkPoint("exportProof.quorumPublicKey", s.QuorumPublicKey)
}

// decimal is a number that JSON shows as a string, because JavaScript's
// numbers are exact only up to 2^53.
type decimal uint64

func (d decimal) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(d), 10), nil
}

func (d *decimal) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != string(text) {
		return errors.New("must be a decimal number of at most 64 bits")
	}
	*d = decimal(n)
	return nil
}
