package main

import (
	"context"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/pkcs11"
)

// maxArgument bounds what is read on standard input: a point or a label.
const maxArgument = 4 << 10

// uses are what can be done with the key of an operator or holder. The argument and
// the answer are hex, on standard input and output: neither stands in a command.
var uses = map[string]func(ctx context.Context, t *pkcs11.Token, argument []byte) ([]byte, error){
	"generate": func(ctx context.Context, t *pkcs11.Token, label []byte) ([]byte, error) {
		return point(t.GenerateOperator(ctx, string(label)))
	},
	"public": func(ctx context.Context, t *pkcs11.Token, _ []byte) ([]byte, error) {
		return point(t.FindOperator(ctx, nil))
	},
	"sign": func(ctx context.Context, t *pkcs11.Token, digest []byte) ([]byte, error) {
		o, err := t.FindOperator(ctx, nil)
		if err != nil {
			return nil, err
		}
		return o.Sign(ctx, digest)
	},
	"ecdh": func(ctx context.Context, t *pkcs11.Token, peer []byte) ([]byte, error) {
		key, err := ecdh.P256().NewPublicKey(peer)
		if err != nil {
			return nil, errors.New("ecdh: must be an uncompressed point of P-256")
		}
		o, err := t.FindOperator(ctx, nil)
		if err != nil {
			return nil, err
		}
		return o.ECDH(key)
	},
}

func point(o *pkcs11.Operator, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return o.PublicKey().Bytes(), nil
}

// use does one thing with a key.
func use(ctx context.Context, o *options, in io.Reader, out io.Writer) error {
	text, err := io.ReadAll(io.LimitReader(in, maxArgument))
	if err != nil {
		return err
	}
	argument, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return errors.New("standard input: must be hex")
	}
	token, err := pkcs11.Open(o.uri, o.Options)
	if err != nil {
		return err
	}
	defer func() { _ = token.Close() }() // nothing is left to save
	answer, err := uses[o.do](ctx, token, argument)
	if err != nil {
		return err
	}
	defer clear(answer)
	_, err = fmt.Fprintf(out, "%x\n", answer)
	return err
}
