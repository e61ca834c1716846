//go:build cgo

package pkcs11

import (
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"
)

// selectToken returns the one token that matches every attribute given. When
// there is none or several, the error lists what is there.
func selectToken(api cryptoki, u *uri) (uint, p11.TokenInfo, error) {
	slots, err := api.GetSlotList(true)
	if err != nil {
		return 0, p11.TokenInfo{}, unavailable("listing slots", err)
	}
	var (
		seen    []string
		found   uint
		info    p11.TokenInfo
		matches int
	)
	for _, slot := range slots {
		candidate, err := api.GetTokenInfo(slot)
		if err != nil { // one broken reader must not hide the others
			seen = append(seen, fmt.Sprintf("unreadable (%v)", err))
			continue
		}
		if candidate.Flags&p11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		seen = append(seen, fmt.Sprintf("%q (serial %s)", trim(candidate.Label), trim(candidate.SerialNumber)))
		if u.matches(candidate) {
			found, info = slot, candidate
			matches++
		}
	}
	switch {
	case matches == 1:
		return found, info, nil
	case len(seen) == 0:
		return 0, p11.TokenInfo{}, fmt.Errorf("%w: the module has no initialized token", ErrUnavailable)
	case matches == 0:
		return 0, p11.TokenInfo{}, fmt.Errorf("%w: no token matches the URI; there are %s", ErrUnavailable, strings.Join(seen, ", "))
	}
	return 0, p11.TokenInfo{}, fmt.Errorf("pkcs11: %d tokens match the URI, add serial to it; there are %s", matches, strings.Join(seen, ", "))
}

func (u *uri) matches(info p11.TokenInfo) bool {
	for _, pair := range [][2]string{
		{u.token, info.Label},
		{u.serial, info.SerialNumber},
		{u.manufacturer, info.ManufacturerID},
		{u.model, info.Model},
	} {
		if pair[0] != "" && pair[0] != trim(pair[1]) {
			return false
		}
	}
	return true
}

// trim removes the padding of fixed-width fields: blanks, in some modules
// NUL bytes.
func trim(s string) string { return strings.TrimRight(s, " \x00") }

// checkMechanisms refuses tokens without the one mechanism that modules agree
// on. No other is chosen instead: several wrap what they cannot unwrap.
func checkMechanisms(api cryptoki, slot uint) error {
	for _, need := range []struct {
		mechanism uint
		flags     uint
		name      string
	}{
		{p11.CKM_AES_KEY_GEN, p11.CKF_GENERATE, "CKM_AES_KEY_GEN"},
		{p11.CKM_AES_KEY_WRAP, p11.CKF_WRAP | p11.CKF_UNWRAP, "CKM_AES_KEY_WRAP"},
	} {
		info, err := api.GetMechanismInfo(slot, []*p11.Mechanism{p11.NewMechanism(need.mechanism, nil)})
		if err != nil || info.Flags&need.flags != need.flags {
			return fmt.Errorf("pkcs11: the token does not offer %s", need.name)
		}
	}
	return nil
}
