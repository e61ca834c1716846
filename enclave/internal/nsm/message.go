package nsm

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// The requests of the protocol. A request without parameters is its bare name
// as a text string, any other a map of one: {name: parameters}. Replies are
// made the same way, and an error is {"Error": code}.
const (
	nameDescribePCR = "DescribePCR"
	nameExtendPCR   = "ExtendPCR"
	nameLockPCR     = "LockPCR"
	nameLockPCRs    = "LockPCRs"
	nameDescribeNSM = "DescribeNSM"
	nameAttestation = "Attestation"
	nameGetRandom   = "GetRandom"
	nameError       = "Error"
)

type indexRequest struct {
	Index uint16 `cbor:"index"`
}

type extendRequest struct {
	Index uint16 `cbor:"index"`
	Data  []byte `cbor:"data"`
}

type rangeRequest struct {
	Range uint16 `cbor:"range"`
}

// attestationRequest writes nil as null, which the module leaves out.
type attestationRequest struct {
	UserData  []byte `cbor:"user_data"`
	Nonce     []byte `cbor:"nonce"`
	PublicKey []byte `cbor:"public_key"`
}

type describePCRReply struct {
	Lock bool   `cbor:"lock"`
	Data []byte `cbor:"data"`
}

type extendPCRReply struct {
	Data []byte `cbor:"data"`
}

type describeNSMReply struct {
	VersionMajor uint16   `cbor:"version_major"`
	VersionMinor uint16   `cbor:"version_minor"`
	VersionPatch uint16   `cbor:"version_patch"`
	ModuleID     string   `cbor:"module_id"`
	MaxPCRs      uint16   `cbor:"max_pcrs"`
	LockedPCRs   []uint16 `cbor:"locked_pcrs"`
	Digest       string   `cbor:"digest"`
}

type attestationReply struct {
	Document []byte `cbor:"document"`
}

type randomReply struct {
	Random []byte `cbor:"random"`
}

// Error codes of the module that callers may want to tell apart.
const (
	InvalidArgument  = "InvalidArgument"
	InvalidIndex     = "InvalidIndex"
	ReadOnlyIndex    = "ReadOnlyIndex"
	InvalidOperation = "InvalidOperation"
	BufferTooSmall   = "BufferTooSmall"
	InputTooLarge    = "InputTooLarge"
	InternalError    = "InternalError"
)

// Error is a refusal by the module itself. In the protocol it is one more kind
// of reply; here it is always an error.
type Error struct {
	Request string // the name of the request
	Code    string // such as [ReadOnlyIndex]
}

// Error names the request and the code.
func (e *Error) Error() string { return "nsm: " + e.Request + ": the module answered " + e.Code }

// strict decodes replies. New members of a reply are ignored, so that an enclave
// outlives a newer module; indefinite lengths are allowed, because newer modules
// have begun to write them.
var strict = mustStrict()

func mustStrict() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   4,
		MaxArrayElements:  pcrCount,
		MaxMapPairs:       16,
		TagsMd:            cbor.TagsForbidden,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return mode
}

func encodeRequest(name string, parameters any) ([]byte, error) {
	var whole any = name
	if parameters != nil {
		whole = map[string]any{name: parameters}
	}
	b, err := cbor.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("nsm: %s: encoding the request: %w", name, err)
	}
	if len(b) > MaxRequest {
		return nil, fmt.Errorf("nsm: %s: the request has %d bytes, more than %d", name, len(b), MaxRequest)
	}
	return b, nil
}

// decodeReply reads the reply to a request. Into is nil when the reply is a bare
// name.
func decodeReply(name string, reply []byte, into any) error {
	var bare string
	if err := strict.Unmarshal(reply, &bare); err == nil {
		if bare != name || into != nil {
			return fmt.Errorf("nsm: %s: the reply is of another kind", name)
		}
		return nil
	}
	var whole map[string]cbor.RawMessage
	if err := strict.Unmarshal(reply, &whole); err != nil || len(whole) != 1 {
		return fmt.Errorf("nsm: %s: the reply is not a message of the module", name)
	}
	if raw, ok := whole[nameError]; ok {
		return decodeError(name, raw)
	}
	raw, ok := whole[name]
	if !ok || into == nil {
		return fmt.Errorf("nsm: %s: the reply is of another kind", name)
	}
	defer clear(raw)
	if err := strict.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("nsm: %s: the reply has a member of a wrong type", name)
	}
	return nil
}

func decodeError(name string, raw cbor.RawMessage) error {
	var code string
	if err := strict.Unmarshal(raw, &code); err != nil || code == "" || len(code) > 64 {
		return errors.New("nsm: " + name + ": the module answered with an error that has no code")
	}
	return &Error{Request: name, Code: code}
}
