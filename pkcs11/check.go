//go:build cgo

package pkcs11

import (
	"context"
	"fmt"
	"slices"
	"strings"

	p11 "github.com/miekg/pkcs11"
)

// Check looks at the token that the URI names: it logs in, tries every role with
// keys that go with their session, and judges the keys that are there. It
// changes nothing in the token. roles are of [CheckRoles]; Report.Works is
// about them. An error means that there is nothing to report.
func Check(ctx context.Context, uriText string, roles []string, o Options) (*Report, error) {
	for _, role := range roles {
		if !slices.Contains(CheckRoles, role) {
			return nil, fmt.Errorf("pkcs11: role: %.32q must be one of %s", role, strings.Join(CheckRoles, ", "))
		}
	}
	o.Role = roleAny
	t, err := Open(uriText, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	r, err := call(ctx, t, cap(t.turns), func() (*Report, error) { return t.report(roles) })
	if errClose := t.Close(); err == nil {
		err = errClose
	}
	return r, err
}

func (t *Token) report(asked []string) (*Report, error) {
	r := &Report{Works: true, Mechanisms: t.reportMechanisms()}
	var err error
	if r.Module, err = t.reportModule(); err != nil {
		return nil, err
	}
	if r.Token, err = t.reportToken(); err != nil {
		return nil, err
	}
	if r.Keys, err = t.reportKeys(); err != nil {
		return nil, err
	}
	for _, trial := range trials() {
		role := t.try(trial)
		role.Asked = isAsked(trial.role, asked)
		if problem := t.badKey(trial.role, r.Keys); role.Works && problem != "" {
			role.Works, role.Problem = false, problem
		}
		r.Works = r.Works && (role.Works || !role.Asked)
		r.Roles = append(r.Roles, role)
	}
	return r, nil
}

func (t *Token) reportModule() (ModuleReport, error) {
	info, err := t.api.GetInfo()
	if err != nil {
		return ModuleReport{}, unavailable("asking the module what it is", err)
	}
	sum, err := hashFile(t.uri.modulePath)
	if err != nil {
		return ModuleReport{}, fmt.Errorf("pkcs11: reading the module: %w", err)
	}
	return ModuleReport{
		Path: t.uri.modulePath, SHA256: fmt.Sprintf("%x", sum),
		Description: trim(info.LibraryDescription), Manufacturer: trim(info.ManufacturerID),
		Version: version(info.LibraryVersion), Cryptoki: version(info.CryptokiVersion),
	}, nil
}

func (t *Token) reportToken() (TokenReport, error) {
	info, err := t.api.GetTokenInfo(t.slot)
	if err != nil {
		return TokenReport{}, unavailable("asking the token what it is", err)
	}
	return TokenReport{
		Label: trim(info.Label), Serial: trim(info.SerialNumber), Manufacturer: trim(info.ManufacturerID), Model: trim(info.Model),
		Firmware: version(info.FirmwareVersion), Flags: flagNames(info.Flags, tokenFlags), Sessions: cap(t.turns),
	}, nil
}

func version(v p11.Version) string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

type flagName struct {
	flag uint
	name string
}

var tokenFlags = []flagName{
	{p11.CKF_RNG, "CKF_RNG"},
	{p11.CKF_WRITE_PROTECTED, "CKF_WRITE_PROTECTED"},
	{p11.CKF_LOGIN_REQUIRED, "CKF_LOGIN_REQUIRED"},
	{p11.CKF_USER_PIN_INITIALIZED, "CKF_USER_PIN_INITIALIZED"},
	{p11.CKF_PROTECTED_AUTHENTICATION_PATH, "CKF_PROTECTED_AUTHENTICATION_PATH"},
	{p11.CKF_TOKEN_INITIALIZED, "CKF_TOKEN_INITIALIZED"},
	{p11.CKF_USER_PIN_COUNT_LOW, "CKF_USER_PIN_COUNT_LOW"},
	{p11.CKF_USER_PIN_FINAL_TRY, "CKF_USER_PIN_FINAL_TRY"},
	{p11.CKF_USER_PIN_LOCKED, "CKF_USER_PIN_LOCKED"},
	{p11.CKF_USER_PIN_TO_BE_CHANGED, "CKF_USER_PIN_TO_BE_CHANGED"},
}

var useFlags = []flagName{
	{p11.CKF_GENERATE, "generate"},
	{p11.CKF_GENERATE_KEY_PAIR, "generate pairs"},
	{p11.CKF_WRAP, "wrap"},
	{p11.CKF_UNWRAP, "unwrap"},
	{p11.CKF_ENCRYPT, "encrypt"},
	{p11.CKF_DECRYPT, "decrypt"},
	{p11.CKF_SIGN, "sign"},
	{p11.CKF_DERIVE, "derive"},
}

func flagNames(flags uint, table []flagName) []string {
	var found []string
	for _, f := range table {
		if flags&f.flag != 0 {
			found = append(found, f.name)
		}
	}
	return names(found)
}

// neededMechanisms are those of all roles.
var neededMechanisms = []struct {
	mechanism uint
	name      string
	flags     uint
	roles     []string
}{
	{p11.CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN", p11.CKF_GENERATE, []string{"root"}},
	{byKeyWrap.mechanism, byKeyWrap.name, byKeyWrap.flags, []string{"root"}},
	{byGCM.mechanism, byGCM.name, byGCM.flags, []string{"root"}}, // in place of the one above
	{p11.CKM_EC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN", p11.CKF_GENERATE_KEY_PAIR, []string{"signer:p256", "signer:p384", "signer:secp256k1", "operator"}},
	{p11.CKM_ECDSA, "CKM_ECDSA", p11.CKF_SIGN, []string{"signer:p256", "signer:p384", "signer:secp256k1", "operator"}},
	{ckmECEdwardsKeyPairGen, "CKM_EC_EDWARDS_KEY_PAIR_GEN", p11.CKF_GENERATE_KEY_PAIR, []string{"signer:ed25519"}},
	{ckmEdDSA, "CKM_EDDSA", p11.CKF_SIGN, []string{"signer:ed25519"}},
	{p11.CKM_ECDH1_DERIVE, "CKM_ECDH1_DERIVE", p11.CKF_DERIVE, []string{"operator"}},
}

func (t *Token) reportMechanisms() []MechanismReport {
	var all []MechanismReport
	for _, n := range neededMechanisms {
		info, err := t.api.GetMechanismInfo(t.slot, mechanisms(n.mechanism, nil))
		m := MechanismReport{Name: n.name, Roles: n.roles, Missing: flagNames(n.flags, useFlags), Uses: []string{}}
		if err == nil {
			m.Offered, m.MinKey, m.MaxKey = true, info.MinKeySize, info.MaxKeySize
			m.Uses, m.Missing = flagNames(info.Flags, useFlags), flagNames(n.flags&^info.Flags, useFlags)
		}
		all = append(all, m)
	}
	return all
}
