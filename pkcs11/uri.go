package pkcs11

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// DefaultObject is the label of the key if the URI names none.
const DefaultObject = "sallyport-root"

// uri is a parsed PKCS#11 URI. Empty strings select nothing.
type uri struct {
	token, serial, manufacturer, model string
	object                             string
	id                                 []byte
	keyType                            string // "", secret-key or private
	modulePath                         string // resolved
	pinSource, pinValue                string
	initReserved                       string // for C_Initialize, as p11-kit calls it
}

// parseURI reads RFC 7512, section 2.3: path attributes that it does not know
// are refused, query attributes ignored. Errors never repeat a value.
func parseURI(text string) (*uri, error) {
	rest, ok := strings.CutPrefix(text, "pkcs11:")
	if !ok {
		return nil, errors.New(`pkcs11: URI: must begin with "pkcs11:"`)
	}
	path, query, _ := strings.Cut(rest, "?")
	u := &uri{object: DefaultObject}
	if err := eachAttribute(path, ";", u.setPath); err != nil {
		return nil, err
	}
	if err := eachAttribute(query, "&", u.setQuery); err != nil {
		return nil, err
	}
	return u, u.check()
}

func (u *uri) check() (err error) {
	if u.token == "" && u.serial == "" {
		return errors.New("pkcs11: URI: must name a token by token or serial")
	}
	if u.object == "" {
		return errors.New("pkcs11: URI: object: must not be empty")
	}
	if u.modulePath == "" {
		return errors.New("pkcs11: URI: must have a module-path")
	}
	if (u.pinSource == "") == (u.pinValue == "") {
		return errors.New("pkcs11: URI: must have pin-source, or else pin-value, and not both")
	}
	if u.modulePath, err = resolveModule(u.modulePath); err != nil {
		return err
	}
	return checkPINSource(u.pinSource)
}

// fitRole fits what names a key to what the token is for. The default label is
// that of a root: no other key has it.
func (u *uri) fitRole(role Role) error {
	want := "private"
	switch role {
	case RoleRoot:
		want = "secret-key"
	case RoleSigner, RoleOperator:
		if u.object == DefaultObject {
			u.object = ""
		}
	case roleAny:
		return nil
	default:
		return fmt.Errorf("pkcs11: role: must be %s, %s or %s", RoleRoot, RoleSigner, RoleOperator)
	}
	if u.keyType != "" && u.keyType != want {
		return fmt.Errorf("pkcs11: URI: type: must be %s for the role %s", want, role)
	}
	return nil
}

func (u *uri) setPath(name, value string) error {
	switch name {
	case "token":
		u.token = value
	case "serial":
		u.serial = value
	case "manufacturer":
		u.manufacturer = value
	case "model":
		u.model = value
	case "object":
		u.object = value
	case "id":
		if len(value) == 0 || len(value) > maxID {
			return fmt.Errorf("pkcs11: URI: id: must be 1 to %d bytes", maxID)
		}
		u.id = []byte(value)
	case "type":
		if value != "secret-key" && value != "private" {
			return errors.New("pkcs11: URI: type: must be secret-key or private")
		}
		u.keyType = value
	case "slot-id", "slot-description", "slot-manufacturer":
		return fmt.Errorf("pkcs11: URI: %s: slots select nothing, they change: use token or serial", name)
	default:
		return fmt.Errorf("pkcs11: URI: path attribute %.32q is not known", name)
	}
	return nil
}

func (u *uri) setQuery(name, value string) error {
	switch name {
	case "module-path":
		u.modulePath = value
	case "pin-source":
		u.pinSource = value
	case "pin-value":
		u.pinValue = value
	case "x-init-reserved":
		u.initReserved = value
	case "module-name":
		return errors.New("pkcs11: URI: module-name: search paths are not used, give module-path")
	}
	return nil
}

// eachAttribute splits a component and decodes the values.
func eachAttribute(component, separator string, set func(name, value string) error) error {
	if component == "" {
		return nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(component, separator) {
		name, raw, ok := strings.Cut(part, "=")
		if !ok || name == "" {
			return errors.New("pkcs11: URI: attributes must have the form name=value")
		}
		if seen[name] {
			return fmt.Errorf("pkcs11: URI: attribute %.32q appears twice", name)
		}
		seen[name] = true
		for _, c := range []byte(raw) {
			if c <= ' ' || c >= 0x7f {
				return fmt.Errorf("pkcs11: URI: %.32q: must be percent-encoded ASCII", name)
			}
		}
		value, err := url.PathUnescape(raw) // + is a plus sign here
		if err != nil {
			return fmt.Errorf("pkcs11: URI: %.32q: has a broken percent-encoding", name)
		}
		if name != "id" && strings.ContainsRune(value, 0) {
			return fmt.Errorf("pkcs11: URI: %.32q: must not contain NUL", name)
		}
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// resolveModule accepts an absolute path of a regular file and follows links.
func resolveModule(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", errors.New("pkcs11: module-path: must be an absolute path")
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("pkcs11: module-path: %w", err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return "", fmt.Errorf("pkcs11: module-path: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("pkcs11: module-path: must be a regular file")
	}
	return resolved, nil
}
