package org

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/sallyport/sallyport/enclave/internal/keys"
	"github.com/sallyport/sallyport/enclave/wire"
)

// maxPayloads bounds sign_raw_payloads.
const maxPayloads = 250

// A signIntent is the three wire forms of signing, as one.
type signIntent struct {
	signWith     string
	payloads     []string
	encoding     string
	hashFunction string
	many         bool
}

// signatures are r || s || v, 65 bytes each.
type signatures struct {
	Values [][]byte `cbor:"1,keyasint"`
}

// rsv is one signature as clients see it: hex without 0x.
type rsv struct {
	R string `json:"r"`
	S string `json:"s"`
	V string `json:"v"`
}

func rsvOf(sig []byte) rsv {
	return rsv{hex.EncodeToString(sig[:32]), hex.EncodeToString(sig[32:64]), hex.EncodeToString(sig[64:65])}
}

var signRawPayload = define("sign_raw_payload",
	map[string]string{
		"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD":    "signRawPayloadIntent",
		"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2": "signRawPayloadIntentV2",
	},
	spec[signIntent, signPlan, signatures]{
		decode:  decodeSign,
		valid:   validSign,
		check:   checkSign,
		execute: executeSign,
		joint:   jointlySign,
		verify:  verifySigned,
		result: func(_ job, _ *signIntent, r signatures) (string, any) {
			return "signRawPayloadResult", rsvOf(r.Values[0])
		},
	})

var signRawPayloads = define("sign_raw_payloads",
	map[string]string{"ACTIVITY_TYPE_SIGN_RAW_PAYLOADS": "signRawPayloadsIntent"},
	spec[signIntent, signPlan, signatures]{
		decode:  decodeSign,
		valid:   validSign,
		check:   checkSign,
		execute: executeSign,
		joint:   jointlySign,
		verify:  verifySigned,
		result: func(_ job, _ *signIntent, r signatures) (string, any) {
			out := struct {
				Signatures []rsv `json:"signatures"`
			}{Signatures: []rsv{}}
			for _, sig := range r.Values {
				out.Signatures = append(out.Signatures, rsvOf(sig))
			}
			return "signRawPayloadsResult", out
		},
	})

// A signPlan is the key and what it will sign.
type signPlan struct {
	key      *privateKey
	payloads [][]byte
}

func checkSign(o *organization, in *signIntent) (signPlan, error) {
	k := o.findKey(in.signWith)
	if k == nil {
		return signPlan{}, notFound("parameters.signWith: no private key has this id or address")
	}
	plan := signPlan{key: k}
	if err := o.group.checkJointSign(in); err != nil {
		return plan, err
	}
	for i, text := range in.payloads {
		payload, err := keys.Payload(in.encoding, in.hashFunction, k.curve, text)
		if err != nil {
			return plan, bad("bad request body: parameters.%s%v", in.element(i), err)
		}
		plan.payloads = append(plan.payloads, payload)
	}
	return plan, nil
}

// element names what an error about the i-th payload is about.
func (in *signIntent) element(i int) string {
	if !in.many {
		return ""
	}
	return fmt.Sprintf("payloads[%d]: ", i)
}

func executeSign(ctx context.Context, s *Service, j job, _ *signIntent, plan signPlan) (signatures, error) {
	out := signatures{Values: make([][]byte, len(plan.payloads))}
	for i := range out.Values {
		out.Values[i] = make([]byte, keys.SignatureSize)
	}
	err := s.shares.use(ctx, j.org, plan.key, func(secret *keys.Secret) error {
		for i, payload := range plan.payloads {
			sig, err := keys.Sign(plan.key.curve, secret, payload)
			if err != nil {
				s.Log.Error("signing", "error", err)
				return wire.Errorf(wire.Internal, "", "signing")
			}
			sig.Put(out.Values[i])
		}
		return nil
	})
	return out, err
}
