//go:build neverbuilt

package tests

import (
	_ "filippo.io/bigmod"
	_ "filippo.io/nistec"
	_ "github.com/alecthomas/kong"
	_ "github.com/c2sp/wycheproof"
	_ "github.com/cloudflare/circl/hpke"
	_ "github.com/decred/dcrd/dcrec/secp256k1/v4"
	_ "github.com/fxamacker/cbor/v2"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/hf/nitrite"
	_ "github.com/mdlayher/vsock"
	_ "github.com/miekg/pkcs11"
	_ "go.uber.org/goleak"
	_ "golang.org/x/crypto/sha3"
	_ "golang.org/x/sys/unix"
	_ "modernc.org/sqlite"
	_ "pgregory.net/rapid"
)
