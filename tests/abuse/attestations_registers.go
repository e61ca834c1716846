package main

import (
	"bytes"

	"github.com/sallyport/sallyport/attestation"
	at "github.com/sallyport/sallyport/attestation/attestationtest"
)

// registerRows are PCRs of another image, in other forms, or of nothing.
var registerRows = []row{
	{id: "E4", what: "PCR0, 1 or 2 of another image", run: wrongPCRs},
	{id: "E4b", what: "register missing, of 32 bytes, of 64", run: pcrForms},
	{id: "E4c", what: "registers 16, 17, 18 that commit to something else", run: commitments},
	{id: "E5", what: "PCR0 to 2 all zero: a debug enclave", run: debugEnclave},
}

func wrongPCRs(w *world) (string, error) {
	return each([]int{0, 1, 2}, func(i int) (string, error) {
		return w.forged(measured, func(p *at.Payload) { p.PCRs[i] = bytes.Repeat([]byte{7}, 48) })
	})
}

func pcrForms(w *world) (string, error) {
	return each([]func(map[int][]byte){
		func(m map[int][]byte) { delete(m, 0) }, func(m map[int][]byte) { delete(m, 2) }, func(m map[int][]byte) { delete(m, 31) },
		func(m map[int][]byte) { m[0] = m[0][:32] }, func(m map[int][]byte) { m[0] = append(m[0], make([]byte, 16)...) },
		func(m map[int][]byte) { m[5] = nil }, clearAll,
	}, func(change func(map[int][]byte)) (string, error) {
		return w.forged(measured, func(p *at.Payload) { change(p.PCRs) })
	})
}

func clearAll(m map[int][]byte) { clear(m) }

func commitments(w *world) (string, error) {
	return each([]int{attestation.PCRBootKey, attestation.PCRLive, attestation.PCRManifest}, func(i int) (string, error) {
		return w.forged(measured, func(p *at.Payload) { p.PCRs[i] = attestation.ExtendPCR(nil, []byte("other")) })
	})
}

func debugEnclave(w *world) (string, error) {
	return w.forged([]string{attestation.ReasonDebugEnclave}, func(p *at.Payload) {
		for i := range 3 {
			p.PCRs[i] = make([]byte, 48)
		}
	})
}
