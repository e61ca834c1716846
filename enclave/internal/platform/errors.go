package platform

import "errors"

// ErrNoRoot is returned by [Root.Secret] before genesis.
var ErrNoRoot = errors.New("platform: no root secret has been created")
