package pkcs11

import "strings"

// A Report is what [Check] found about a module, a token and its keys. It holds
// no secret, and is one JSON document.
type Report struct {
	// Works says that every role asked for works.
	Works      bool              `json:"works"`
	Module     ModuleReport      `json:"module"`
	Token      TokenReport       `json:"token"`
	Mechanisms []MechanismReport `json:"mechanisms"`
	Roles      []RoleReport      `json:"roles"`
	Keys       []KeyReport       `json:"keys"`
}

// ModuleReport is what a module says about itself.
type ModuleReport struct {
	Path         string `json:"path"`   // resolved
	SHA256       string `json:"sha256"` // of the file, hex
	Description  string `json:"description"`
	Manufacturer string `json:"manufacturer"`
	Version      string `json:"version"`
	Cryptoki     string `json:"cryptoki"` // version of the standard
}

// TokenReport is what a token says about itself.
type TokenReport struct {
	Label        string   `json:"label"`
	Serial       string   `json:"serial"`
	Manufacturer string   `json:"manufacturer"`
	Model        string   `json:"model"`
	Firmware     string   `json:"firmware"`
	Flags        []string `json:"flags"`    // names of the standard, CKF_...
	Sessions     int      `json:"sessions"` // calls at once
}

// MechanismReport is a mechanism that some role needs.
type MechanismReport struct {
	Name    string   `json:"name"`
	Offered bool     `json:"offered"`
	MinKey  uint     `json:"minKey"` // in the unit of the mechanism
	MaxKey  uint     `json:"maxKey"`
	Uses    []string `json:"uses"`    // what the token offers it for
	Missing []string `json:"missing"` // uses that roles need beyond those
	Roles   []string `json:"roles"`   // that need it
}

// RoleReport is how a trial of a role ended, with keys that went with their
// session.
type RoleReport struct {
	Role    string `json:"role"`
	Asked   bool   `json:"asked"`
	Works   bool   `json:"works"`
	By      string `json:"by"`      // mechanisms used
	Problem string `json:"problem"` // why not; empty if it works
}

// KeyReport is one key in the token.
type KeyReport struct {
	Label string `json:"label"`
	ID    string `json:"id"`    // CKA_ID, hex
	Class string `json:"class"` // secret-key, private, public; unknown if half-written
	Kind  string `json:"kind"`  // AES-256, a curve, or what the module says
	Role  string `json:"role"`  // that it is judged for; empty for none
	// Problems are attributes weaker than the role needs.
	Problems []string `json:"problems"`
	// HalfWritten says that the key does not do its work, as one whose creation
	// was cut off.
	HalfWritten bool `json:"halfWritten"`
}

// CheckRoles are the roles that [Check] tries. The role signer stands for those
// of all curves.
var CheckRoles = []string{"root", "signer", "signer:p256", "signer:p384", "signer:secp256k1", "signer:ed25519", "operator"}

// isAsked says whether a role is one that the list asks for.
func isAsked(role string, asked []string) bool {
	for _, a := range asked {
		if a == role || a == string(RoleSigner) && strings.HasPrefix(role, "signer:") {
			return true
		}
	}
	return false
}

// names never returns nil: in JSON it is a list.
func names(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

// servesRole says whether the key is judged for the role of a trial.
func (k *KeyReport) servesRole(role string) bool {
	return k.Role == role || k.Role == string(RoleSigner) && role == "signer:"+k.Kind
}
