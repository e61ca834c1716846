//go:build cgo

package pkcs11

import (
	"errors"
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

// chooseMethod takes the mechanism that modules agree on, or else AES-GCM. No
// other is chosen: several wrap what they cannot unwrap.
func chooseMethod(api cryptoki, slot uint) (*wrapMethod, error) {
	if !offers(api, slot, p11.CKM_AES_KEY_GEN, p11.CKF_GENERATE) {
		return nil, errors.New("pkcs11: the token does not offer CKM_AES_KEY_GEN")
	}
	for _, m := range []*wrapMethod{byKeyWrap, byGCM} {
		if offers(api, slot, m.mechanism, m.flags) {
			return m, nil
		}
	}
	return nil, errors.New("pkcs11: the token offers neither CKM_AES_KEY_WRAP nor CKM_AES_GCM")
}

func offers(api cryptoki, slot, mechanism, flags uint) bool {
	info, err := api.GetMechanismInfo(slot, mechanisms(mechanism, nil))
	return err == nil && info.Flags&flags == flags
}

// mechanisms is a list of one, as the module's functions take it.
func mechanisms(mechanism uint, parameter any) []*p11.Mechanism {
	return []*p11.Mechanism{p11.NewMechanism(mechanism, parameter)}
}
