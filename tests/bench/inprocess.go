package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/attestation"
	"github.com/sallyport/sallyport/enclave/enclavetest"
	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/client"
)

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// alone measures a function in this process, one call after another.
func alone(f func() error) func(budget) (sample, error) {
	return func(b budget) (sample, error) {
		return repeat(b, func() (func() error, error) { return f, nil })
	}
}

// repeat calls what next gives; only the call itself is measured.
func repeat(b budget, next func() (func() error, error)) (sample, error) {
	const batch = 64
	var cpu, wall time.Duration
	calls := 0
	for wall < b.time || calls < b.count {
		fs := make([]func() error, batch)
		for i := range fs {
			var err error
			if fs[i], err = next(); err != nil {
				return sample{}, err
			}
		}
		cpuBefore, start := ownCPU(), time.Now()
		for _, f := range fs {
			if err := f(); err != nil {
				return sample{}, err
			}
		}
		wall += time.Since(start)
		cpu += ownCPU() - cpuBefore
		calls += batch
	}
	return sample{
		cpu: float64(cpu.Nanoseconds()) / 1e3 / float64(calls), rate: float64(calls) / wall.Seconds(),
		p50: float64(wall.Microseconds()) / float64(calls),
	}, nil
}

// inProcess measures an enclave in this process over a store in memory.
func inProcess(operation string) func(budget) (sample, error) {
	return func(b budget) (s sample, err error) {
		testing.Benchmark(func(tb *testing.B) {
			if tb.N > 1 || err != nil {
				return // one run: repeat does the counting
			}
			s, err = inProcessRun(tb, operation, b)
		})
		return s, err
	}
}

func inProcessRun(tb *testing.B, operation string, b budget) (sample, error) {
	e := enclavetest.New(tb, enclavetest.Options{})
	m, err := newMaker(tb, e)
	if err != nil {
		return sample{}, err
	}
	return repeat(b, func() (func() error, error) {
		path, body := m.operation(operation)
		req, err := m.request(path, body)
		if operation == "sign" && err == nil {
			req.Nonce = make([]byte, 32)
		}
		return func() error {
			reply, err := e.Do(tb.Context(), req)
			if err == nil && reply.Status != 200 {
				err = fmt.Errorf("%s", reply.Body)
			}
			return err
		}, err
	})
}

func (m *maker) request(path string, body []byte) (*wire.Request, error) {
	stamp, err := client.Stamp(body, m.key)
	return &wire.Request{API: wire.APIActivity, Path: path, Body: body, StampKind: wire.StampAPIKey, Stamp: []byte(stamp)}, err
}

// newMaker founds an organization with a key on an enclave in this process.
func newMaker(tb *testing.B, e *enclavetest.Enclave) (*maker, error) {
	manifest, err := attestation.ParseManifest(e.Manifest)
	if err != nil {
		return nil, err
	}
	key, err := client.NewAPIKey()
	if err != nil {
		return nil, err
	}
	salt := make([]byte, 32)
	rand.Read(salt)
	founding := client.FoundingBody{
		Type: "SALLYPORT_ORGANIZATION_V1", OrganizationName: "bench", RootQuorumThreshold: 1, Salt: hex.EncodeToString(salt),
		QuorumPublicKeys: []string{hex.EncodeToString(manifest.QuorumPublicKey)},
		RootUsers: []client.RootUser{{UserName: "root", APIKeys: []client.RootAPIKey{{
			APIKeyName: "key", PublicKey: key.PublicHex(), CurveType: client.CurveP256,
		}}}},
	}
	raw, err := founding.Encode()
	if err != nil {
		return nil, err
	}
	body, err := client.NewFoundingRequest(raw, key)
	if err != nil {
		return nil, err
	}
	if _, err := e.Do(tb.Context(), &wire.Request{API: wire.APISallyport, Path: "/sallyport/v1/organizations", Body: body}); err != nil {
		return nil, err
	}
	m := &maker{organization: client.OrganizationID(raw), key: key}
	req, err := m.request(createPath, m.create())
	if err != nil {
		return nil, err
	}
	reply, err := e.Do(tb.Context(), req)
	if err != nil {
		return nil, err
	}
	m.privateKey, err = createdKey(reply.Body)
	return m, err
}
