package simulator

import (
	"crypto/rand"

	"github.com/fxamacker/cbor/v2"
)

// The limits of the module, in bytes.
const (
	maxRequest   = 4096
	maxUserData  = 512
	maxNonce     = 512
	maxPublicKey = 1024
	randomSize   = 256
)

// request is every request with parameters; exactly one is set.
type request struct {
	DescribePCR *struct {
		Index *uint16 `cbor:"index"`
	} `cbor:"DescribePCR"`
	ExtendPCR *struct {
		Index *uint16 `cbor:"index"`
		Data  *[]byte `cbor:"data"`
	} `cbor:"ExtendPCR"`
	LockPCR *struct {
		Index *uint16 `cbor:"index"`
	} `cbor:"LockPCR"`
	LockPCRs *struct {
		Range *uint16 `cbor:"range"`
	} `cbor:"LockPCRs"`
	Attestation *documentFields `cbor:"Attestation"`
}

// documentFields are the options of an attestation request; null leaves one out.
type documentFields struct {
	UserData  []byte `cbor:"user_data"`
	Nonce     []byte `cbor:"nonce"`
	PublicKey []byte `cbor:"public_key"`
}

var requests = mustRequests()

func mustRequests() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   4,
		MaxMapPairs:       16,
		MaxArrayElements:  16,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return mode
}

// Handle answers one request of the module's CBOR protocol. It has an answer to
// any bytes: {"Error": code} when they are no request.
func (s *Simulator) Handle(requestCBOR []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(requestCBOR) > maxRequest {
		return failure("InputTooLarge")
	}
	var name string
	if requests.Unmarshal(requestCBOR, &name) == nil {
		return s.handleName(name)
	}
	var r request
	var members map[string]cbor.RawMessage
	if requests.Unmarshal(requestCBOR, &members) != nil || len(members) != 1 || requests.Unmarshal(requestCBOR, &r) != nil {
		return failure("InvalidOperation")
	}
	switch {
	case r.DescribePCR != nil && r.DescribePCR.Index != nil:
		return s.describePCR(*r.DescribePCR.Index)
	case r.ExtendPCR != nil && r.ExtendPCR.Index != nil && r.ExtendPCR.Data != nil:
		return s.extendPCR(*r.ExtendPCR.Index, *r.ExtendPCR.Data)
	case r.LockPCR != nil && r.LockPCR.Index != nil:
		return s.lockPCR(*r.LockPCR.Index)
	case r.LockPCRs != nil && r.LockPCRs.Range != nil:
		return s.lockPCRs(*r.LockPCRs.Range)
	case r.Attestation != nil:
		return s.attest(r.Attestation)
	}
	return failure("InvalidOperation")
}

func (s *Simulator) handleName(name string) []byte {
	switch name {
	case "DescribeNSM":
		return s.describeNSM()
	case "GetRandom":
		random := make([]byte, randomSize)
		if _, err := rand.Read(random); err != nil {
			return failure("InternalError")
		}
		defer clear(random)
		return reply("GetRandom", map[string]any{"random": random})
	}
	return failure("InvalidOperation")
}

func (s *Simulator) describeNSM() []byte {
	locked := []int{}
	for i, is := range s.locked {
		if is {
			locked = append(locked, i)
		}
	}
	return reply("DescribeNSM", map[string]any{
		"version_major": 1, "version_minor": 0, "version_patch": 0,
		"module_id": s.moduleID, "max_pcrs": pcrCount, "locked_pcrs": locked, "digest": "SHA384",
	})
}

func (s *Simulator) describePCR(index uint16) []byte {
	if index >= pcrCount {
		return failure("InvalidIndex")
	}
	return reply("DescribePCR", map[string]any{"lock": s.locked[index], "data": s.pcrs[index][:]})
}

func (s *Simulator) extendPCR(index uint16, data []byte) []byte {
	if index >= pcrCount {
		return failure("InvalidIndex")
	}
	if s.locked[index] {
		return failure("ReadOnlyIndex")
	}
	s.pcrs[index] = extend(s.pcrs[index], data)
	return reply("ExtendPCR", map[string]any{"data": s.pcrs[index][:]})
}

func (s *Simulator) lockPCR(index uint16) []byte {
	if index >= pcrCount {
		return failure("InvalidIndex")
	}
	if s.locked[index] {
		return failure("ReadOnlyIndex")
	}
	s.locked[index] = true
	return encode("LockPCR")
}

func (s *Simulator) lockPCRs(limit uint16) []byte {
	if limit > pcrCount {
		return failure("InvalidIndex")
	}
	for i := range limit {
		s.locked[i] = true
	}
	return encode("LockPCRs")
}

func (s *Simulator) attest(f *documentFields) []byte {
	if len(f.UserData) > maxUserData || len(f.Nonce) > maxNonce || len(f.PublicKey) > maxPublicKey {
		return failure("InputTooLarge")
	}
	document, err := s.document(f)
	if err != nil {
		return failure("InternalError")
	}
	return reply("Attestation", map[string]any{"document": document})
}

func reply(name string, members map[string]any) []byte {
	return encode(map[string]any{name: members})
}

func failure(code string) []byte { return encode(map[string]string{"Error": code}) }

func encode(v any) []byte {
	b, err := cbor.Marshal(v)
	if err != nil {
		panic("internal error: a reply does not encode")
	}
	return b
}
