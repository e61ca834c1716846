//go:build never

// Package internal is gone before this lands.
package internal

import (
	_ "github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	_ "github.com/bnb-chain/tss-lib/v2/ecdsa/resharing"
	_ "github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	_ "github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	_ "github.com/flynn/noise"
	_ "github.com/getkin/kin-openapi/openapi3"
	_ "github.com/nats-io/nats-server/v2/server"
	_ "github.com/nats-io/nats.go"
)
