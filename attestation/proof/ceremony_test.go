package proof

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"strings"
	"testing"
)

func TestCeremonyStatementsComeBackAndNothingElse(t *testing.T) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	genesis := OutcomeStatement{TypeGenesis, 5, [32]byte{1}, [32]byte{2}, [32]byte{3}}
	receiver := RootReceiverStatement{5, [32]byte{1}, key.PublicKey().Bytes()}
	g, err1 := genesis.Encode()
	r, err2 := receiver.Encode()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if got, err := ParseOutcomeStatement(TypeGenesis, g); err != nil || got != genesis {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := ParseRootReceiverStatement(r); err != nil || got.Manifest != receiver.Manifest || !bytes.Equal(got.PublicKey, receiver.PublicKey) {
		t.Errorf("got %v, %v", got, err)
	}
	change := func(b []byte, old, by string) []byte { return []byte(strings.Replace(string(b), old, by, 1)) }
	for name, b := range map[string][]byte{
		"the other type": r, "white space": change(g, `,`, `, `), "a short hash": change(g, "01000000", ""), "no time": change(g, `"5"`, `"0"`),
		"a member more": change(g, `{"type"`, `{"x":1,"type"`), "capitals": change(g, "outcomeProof", "OutcomeProof"), "another type": change(g, "GENESIS", "SHARING"),
	} {
		if _, err := ParseOutcomeStatement(TypeGenesis, b); err == nil {
			t.Errorf("genesis: %s: accepted", name)
		}
	}
	for name, b := range map[string][]byte{
		"the other type": g, "no point": change(r, `"04`, `"05`), "white space": change(r, `,`, `, `), "no time": change(r, `"5"`, `"0"`),
	} {
		if _, err := ParseRootReceiverStatement(b); err == nil {
			t.Errorf("receiver: %s: accepted", name)
		}
	}
}
