package kms

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/sallyport/sallyport/attestation"
)

// maxPolicy is the most bytes of a key policy that KMS takes.
const maxPolicy = 32768

// Policy prints the key policy of a KMS key, in JSON. The host has the role, by
// name or with its path, in the account of 12 digits; the key may be in another
// account, which its ARN says, and must be made beforehand: single-Region, with
// its origin in KMS, for encryption and decryption with RSA.
//
// Register 18 of an enclave commits to its manifest, of which the hash has 32 bytes.
// No two accepted measurements may have the same PCR0. The statements:
//
//   - Administration lets the administrators of the key's account change this policy,
//     disable the key and delete it, and gives nobody a way to use it.
//   - PublicFacts lets the host read the public half and the state of the key.
//   - DecryptImage<n> lets the host have answers for an enclave which runs that
//     image under the manifest. There is one for each measurement, because a list of
//     values for each register would mix the registers of two images.
//   - NoOtherImage, NoOtherManifest, Image<n>NoOtherPCR1 and Image<n>NoOtherPCR2 deny
//     everything else, to everybody and whatever a grant or a later statement allows. They
//     hold where there is no document as well: a negated condition is satisfied by
//     a register that is missing.
//   - NoOtherWay denies what would decrypt without a document or give the key away
//     under another policy: ReEncryptFrom, grants, replicas.
//
// What no policy can do is bind those who may change it. An administrator of the
// account can put in another one and then decrypt; CloudTrail tells afterwards.
// That is why a root in KMS alone is one custodian.
func Policy(account, role, keyARN string, measurements []attestation.Measurements, manifestHash []byte) ([]byte, error) {
	key, err := parseKeyARN(keyARN)
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(account, role, measurements, manifestHash); err != nil {
		return nil, err
	}
	host := principal{"arn:" + key.partition + ":iam::" + account + ":role/" + role}
	p := policy{Version: "2012-10-17", ID: "sallyport"}
	p.add(statement{
		Sid: "Administration", Effect: "Allow", Principal: principal{"arn:" + key.partition + ":iam::" + key.account + ":root"},
		Action: administration,
	})
	p.add(statement{Sid: "PublicFacts", Effect: "Allow", Principal: host, Action: []string{"kms:DescribeKey", "kms:GetPublicKey"}})
	manifest := hex.EncodeToString(attestation.ExtendPCR(nil, manifestHash))
	for i, m := range measurements {
		p.add(decrypt(fmt.Sprintf("DecryptImage%d", i), "Allow", host, image(m, manifest)))
	}
	p.deny(measurements, manifest)
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("kms: printing a key policy: %v", err)
	}
	text = append(text, '\n')
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("kms: measurements: %d are too many for a key policy of %d bytes", len(measurements), maxPolicy)
	}
	return text, nil
}

// administration has neither Decrypt nor a way to it but PutKeyPolicy.
var administration = []string{
	"kms:CancelKeyDeletion", "kms:DescribeKey", "kms:DisableKey", "kms:EnableKey", "kms:GetKeyPolicy", "kms:GetPublicKey",
	"kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:RevokeGrant",
	"kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription",
}

type policy struct {
	Version   string
	ID        string `json:"Id"`
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal principal
	Action    []string
	Resource  string     // in a key policy always "*", which is its key
	Condition conditions `json:",omitempty"`
}

type principal struct {
	AWS string
}

// conditions are values by operator and condition key.
type conditions map[string]map[string][]string

var everybody = principal{"*"}

const (
	equal    = "StringEqualsIgnoreCase"
	notEqual = "StringNotEqualsIgnoreCase"
)

// register is the condition key of a platform configuration register.
func register(index int) string { return fmt.Sprintf("kms:RecipientAttestation:PCR%d", index) }

func image(m attestation.Measurements, manifest string) conditions {
	return conditions{equal: {
		register(0): {hex.EncodeToString(m.PCR0[:])}, register(1): {hex.EncodeToString(m.PCR1[:])},
		register(2): {hex.EncodeToString(m.PCR2[:])}, register(attestation.PCRManifest): {manifest},
	}}
}

func decrypt(sid, effect string, who principal, c conditions) statement {
	return statement{Sid: sid, Effect: effect, Principal: who, Action: []string{"kms:Decrypt"}, Condition: c}
}

func (p *policy) add(s statement) {
	s.Resource = "*"
	p.Statement = append(p.Statement, s)
}

// deny adds the statements that deny. Conditions of one statement hold together, so
// PCR1 and PCR2 take one each.
func (p *policy) deny(measurements []attestation.Measurements, manifest string) {
	var images []string
	for _, m := range measurements {
		images = append(images, hex.EncodeToString(m.PCR0[:]))
	}
	p.add(decrypt("NoOtherImage", "Deny", everybody, conditions{notEqual: {register(0): images}}))
	p.add(decrypt("NoOtherManifest", "Deny", everybody, conditions{notEqual: {register(attestation.PCRManifest): {manifest}}}))
	for i, m := range measurements {
		for _, other := range []struct {
			index int
			value [attestation.PCRSize]byte
		}{{1, m.PCR1}, {2, m.PCR2}} {
			p.add(decrypt(fmt.Sprintf("Image%dNoOtherPCR%d", i, other.index), "Deny", everybody, conditions{
				equal:    {register(0): {images[i]}},
				notEqual: {register(other.index): {hex.EncodeToString(other.value[:])}},
			}))
		}
	}
	p.add(statement{
		Sid: "NoOtherWay", Effect: "Deny", Principal: everybody,
		Action: []string{"kms:CreateGrant", "kms:ReEncryptFrom", "kms:ReplicateKey", "kms:UpdatePrimaryRegion"},
	})
}
