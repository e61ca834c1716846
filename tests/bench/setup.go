package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/attestation/bundle"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/host/client"
	"github.com/sallyport/sallyport/tests/appliance"
)

// setUp starts what is measured and lists the figures.
func setUp(bin string) (*table, error) {
	t := &table{}
	if err := t.addFloors(); err != nil {
		return t, err
	}
	address, pids, err := t.startEcho(bin)
	if err != nil {
		t.close()
		return nil, err
	}
	frame := post("/public/v1/query/whoami", make([]byte, 500), "X-Stamp: "+strings.Repeat("s", 350))
	for _, clients := range []int{1, 8, 64} {
		l := &load{address, pids, clients, func() []byte { return frame }}
		t.add(fmt.Sprintf("transport, %s", plural(clients)), l.run)
	}
	if err := t.addAppliance(bin); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func plural(clients int) string {
	if clients == 1 {
		return "1 client"
	}
	return strconv.Itoa(clients) + " clients"
}

func (t *table) addFloors() error {
	floor, err := enclavetest.NewFloor(500)
	if err != nil {
		return err
	}
	steps, err := floor.Steps()
	if err != nil {
		return err
	}
	for _, step := range steps {
		t.add(step.Name, alone(step.Run))
	}
	t.add("bare sign", alone(floor.Sign))
	t.add("bare export", alone(floor.Export))
	for _, operation := range []string{"sign", "export"} {
		t.add("in process "+operation, inProcess(operation))
	}
	return nil
}

// addAppliance starts a whole appliance with a key in it.
func (t *table) addAppliance(bin string) error {
	a, err := appliance.Start(bin)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() { _ = a.Stop() })
	key, err := a.Users[0].Key()
	if err != nil {
		return err
	}
	m := &maker{organization: a.OrganizationID, key: key}
	http := appliance.NewHTTP(a.BaseURL)
	defer http.Close()
	reply, err := http.Post(createPath, m.create(), key)
	if err != nil {
		return err
	}
	if m.privateKey, err = createdKey(reply.Body); err != nil {
		return err
	}
	address := strings.TrimPrefix(a.BaseURL, "http://")
	for _, operation := range []string{"sign", "export"} {
		for _, clients := range []int{1, 8, 64} {
			l := &load{address, []int{a.EnclavePID, a.HostPID}, clients, m.requests(operation)}
			t.add(fmt.Sprintf("%s over HTTP, %s", operation, plural(clients)), l.run)
		}
	}
	return nil
}

const createPath = "/public/v1/submit/create_private_keys"

// A maker makes the bodies of one organization, each with a timestamp of its own.
type maker struct {
	organization, privateKey string
	key                      *client.APIKey
	count                    atomic.Int64
}

func (m *maker) body(typ string, parameters any) []byte {
	b, err := json.Marshal(map[string]any{
		"type": typ, "organizationId": m.organization, "parameters": parameters,
		// Timestamps half an hour back, a millisecond apart: all different.
		"timestampMs": strconv.FormatInt(time.Now().Add(-30*time.Minute).UnixMilli()+m.count.Add(1), 10),
	})
	exitOn(err)
	return b
}

func (m *maker) create() []byte {
	return m.body("ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2", map[string]any{"privateKeys": []any{map[string]any{
		"privateKeyName": "bench", "curve": "CURVE_SECP256K1", "privateKeyTags": []string{}, "addressFormats": []string{},
	}}})
}

func createdKey(body []byte) (string, error) {
	var out struct {
		Activity struct {
			Result struct {
				CreatePrivateKeysResultV2 struct {
					PrivateKeys []struct{ PrivateKeyID string }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return "", err
	}
	keys := out.Activity.Result.CreatePrivateKeysResultV2.PrivateKeys
	if len(keys) != 1 {
		return "", fmt.Errorf("no key was made: %s", body)
	}
	return keys[0].PrivateKeyID, nil
}

// operation gives path and body of the next signature or export.
func (m *maker) operation(name string) (path string, body []byte) {
	if name == "sign" {
		return "/public/v1/submit/sign_raw_payload", m.body("ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2", map[string]any{
			"signWith": m.privateKey, "payload": strings.Repeat("ab", 32),
			"encoding": "PAYLOAD_ENCODING_HEXADECIMAL", "hashFunction": "HASH_FUNCTION_NO_OP",
		})
	}
	return "/public/v1/submit/export_private_key", m.body("ACTIVITY_TYPE_EXPORT_PRIVATE_KEY", map[string]any{
		"privateKeyId": m.privateKey, "targetPublicKey": target,
	})
}

var target = func() string {
	k, err := bundle.NewTarget(rand.Reader)
	exitOn(err)
	return hex.EncodeToString(k.PublicKey().Bytes())
}()

// requests makes ready HTTP requests. A signature asks for a reply proof; an
// export carries its own.
func (m *maker) requests(name string) func() []byte {
	return func() []byte {
		path, body := m.operation(name)
		stamp, err := client.Stamp(body, m.key)
		exitOn(err)
		headers := []string{"X-Stamp: " + stamp}
		if name == "sign" {
			headers = append(headers, "X-Sallyport-Nonce: "+strings.Repeat("5a", 32))
		}
		return post(path, body, headers...)
	}
}
