//go:build cgo

package pkcs11

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"
)

// generateHelper makes pairs and wrapping keys with labels of their own, for
// ever.
func generateHelper(uri string) int {
	token, err := Open(uri, Options{})
	if err != nil {
		fmt.Print(err)
		return 1
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		c := Curves[i%len(Curves)]
		if _, err := token.GenerateSigner(context.Background(), c, fmt.Sprintf("signer-%x", newID()[:8])); err != nil {
			fmt.Print(err)
			return 1
		}
		token.uri.object = fmt.Sprintf("root-%x", newID()[:8])
		if err := token.EnsureKey(context.Background()); err != nil {
			fmt.Print(err)
			return 1
		}
	}
}

// TestKeysCutOffByACrashAreFound kills a process that makes keys, again and
// again, and compares what Check says of each key with what the bare module
// does with it.
func TestKeysCutOffByACrashAreFound(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	k := newTokens(t)
	k.add("sallyport")
	uri := k.uri("sallyport")
	for range rounds {
		killWhileGenerating(t, uri)
	}
	report, err := Check(t.Context(), uri, []string{"root"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken := brokenKeys(t, uri)
	halves := 0
	for _, key := range report.Keys {
		if key.HalfWritten {
			halves++
		}
		if broken[key.Class+key.ID] && !key.HalfWritten {
			t.Errorf("the module does nothing with %+v", key)
		}
		delete(broken, key.Class+key.ID)
	}
	if len(broken) > 0 {
		t.Errorf("not reported: %v", broken)
	}
	checkSigners(t, uri, report)
	t.Logf("%d kills, %d keys, %d half-written", rounds, len(report.Keys), halves)
}

func killWhileGenerating(t *testing.T, uri string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperGenerate+"="+uri)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	time.Sleep(50*time.Millisecond + time.Duration(rand.IntN(int(100*time.Millisecond))))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// brokenKeys are those with which the bare module does nothing, by class and
// CKA_ID.
func brokenKeys(t *testing.T, uri string) map[string]bool {
	t.Helper()
	token := mustOpen(t, uri)
	defer mustClose(t, token)
	broken := map[string]bool{}
	for class, name := range map[uint]string{p11.CKO_PRIVATE_KEY: "private", p11.CKO_SECRET_KEY: "secret-key"} {
		var found []p11.ObjectHandle
		raw(t, token, func(_ cryptoki, s p11.SessionHandle) (err error) {
			found, err = token.find(s, maxListed, p11.NewAttribute(p11.CKA_CLASS, class))
			return err
		})
		for _, key := range found {
			err := token.aside(func(s p11.SessionHandle) error { return barelyUse(t, token, s, class, key) })
			if err != nil {
				raw(t, token, func(_ cryptoki, s p11.SessionHandle) error {
					id, err := token.attribute(s, key, p11.CKA_ID)
					broken[fmt.Sprintf("%s%x", name, id)] = true
					return err
				})
			}
		}
	}
	return broken
}

func barelyUse(t *testing.T, token *Token, s p11.SessionHandle, class uint, key p11.ObjectHandle) error {
	if class == p11.CKO_SECRET_KEY {
		_, err := token.keyWrap(s, key, nil, make([]byte, 32))
		return err
	}
	keyType, err := token.attribute(s, key, p11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	mechanism := uint(p11.CKM_ECDSA)
	if typeName(keyType) == "EC Edwards" {
		mechanism = ckmEdDSA
	}
	if err := token.api.SignInit(s, mechanisms(mechanism, nil), key); err != nil {
		return err
	}
	_, err = token.api.Sign(s, make([]byte, 32))
	return err
}

// checkSigners wants that exactly the good keys can be used.
func checkSigners(t *testing.T, uri string, report *Report) {
	t.Helper()
	token := mustOpenAs(t, uri, RoleSigner)
	defer mustClose(t, token)
	for _, key := range report.Keys {
		id, err := hex.DecodeString(key.ID)
		if err != nil {
			t.Fatal(err)
		}
		if key.Class != "private" || len(id) == 0 {
			continue
		}
		_, err = token.FindSigner(t.Context(), id)
		if good := len(key.Problems) == 0; good != (err == nil) {
			t.Errorf("%+v: %v", key, err)
		}
	}
}

func TestHalvesOfPairsAreFound(t *testing.T) {
	each(t, func(t *testing.T, k *tokens) {
		token := mustOpenAs(t, k.uri("sallyport"), RoleSigner)
		for class, label := range map[uint]string{p11.CKO_PRIVATE_KEY: "no private", p11.CKO_PUBLIC_KEY: "no public"} {
			if _, err := token.GenerateSigner(t.Context(), P256, label); err != nil {
				t.Fatal(err)
			}
			raw(t, token, func(api cryptoki, s p11.SessionHandle) error {
				key, _, err := token.findOne(s, class, label, nil)
				if err != nil {
					return err
				}
				return api.DestroyObject(s, key)
			})
		}
		mustClose(t, token)
		report, err := Check(t.Context(), k.uri("sallyport"), nil, Options{TrustOrigin: k.nss})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Keys) != 2 {
			t.Errorf("%+v", report.Keys)
		}
		for _, key := range report.Keys {
			if !key.HalfWritten || len(key.Problems) == 0 {
				t.Errorf("%+v", key)
			}
		}
	})
}
