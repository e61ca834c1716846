package attestation

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// PCRSize is the length of a platform configuration register: one SHA-384.
const PCRSize = sha512.Size384

// PCRCount is the number of registers of a Nitro Security Module. AWS owns 0
// to 15, the enclave extends 16 to 31.
const PCRCount = 32

// Measurements are the registers that say which image runs: PCR0 covers the
// kernel, its command line and every ramdisk, PCR1 the kernel, command line
// and first ramdisk, PCR2 the other ramdisks. The three are compared together,
// because the hashes cover no lengths: bytes can move between two sections of
// an image without a change of PCR0.
type Measurements struct {
	PCR0, PCR1, PCR2 [PCRSize]byte
}

// localMarker is what a document of the local platform has for measurements.
// The values are fixed so that nobody mistakes them, and never zero, because
// zero is what AWS signs for enclaves in debug mode.
const localMarker = "sallyport local, protects nothing"

// LocalMeasurements returns the measurements of the local platform: PCRi is
// SHA-384(marker || byte(i)) for a marker text that says what they are worth.
func LocalMeasurements() Measurements {
	at := func(i byte) [PCRSize]byte { return sha512.Sum384(append([]byte(localMarker), i)) }
	return Measurements{PCR0: at(0), PCR1: at(1), PCR2: at(2)}
}

// measurementsJSON is the JSON form: lower-case hex, 96 digits each.
type measurementsJSON struct {
	PCR0 string `json:"pcr0" strict:"required"`
	PCR1 string `json:"pcr1" strict:"required"`
	PCR2 string `json:"pcr2" strict:"required"`
}

func (m Measurements) toJSON() measurementsJSON {
	return measurementsJSON{
		PCR0: hex.EncodeToString(m.PCR0[:]),
		PCR1: hex.EncodeToString(m.PCR1[:]),
		PCR2: hex.EncodeToString(m.PCR2[:]),
	}
}

func (j measurementsJSON) measurements() (Measurements, error) {
	var m Measurements
	for _, f := range []struct {
		name string
		text string
		to   *[PCRSize]byte
	}{{"pcr0", j.PCR0, &m.PCR0}, {"pcr1", j.PCR1, &m.PCR1}, {"pcr2", j.PCR2, &m.PCR2}} {
		b, err := lowerHex(f.text, PCRSize)
		if err != nil {
			return Measurements{}, fmt.Errorf("%s: %w", f.name, err)
		}
		copy(f.to[:], b)
	}
	return m, nil
}

// MarshalJSON writes {"pcr0":hex,"pcr1":hex,"pcr2":hex} in lower case.
func (m Measurements) MarshalJSON() ([]byte, error) { return json.Marshal(m.toJSON()) }

// UnmarshalJSON reads what [Measurements.MarshalJSON] writes. All three
// registers must be there, 96 lower-case hex digits each.
func (m *Measurements) UnmarshalJSON(data []byte) error {
	var j measurementsJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return refuse(ReasonMeasurements, "measurements: %v", err)
	}
	parsed, err := j.measurements()
	if err != nil {
		return refuse(ReasonMeasurements, "measurements: %v", err)
	}
	*m = parsed
	return nil
}

// ParseMeasurements reads three registers from lower-case hex.
func ParseMeasurements(pcr0, pcr1, pcr2 string) (Measurements, error) {
	m, err := measurementsJSON{PCR0: pcr0, PCR1: pcr1, PCR2: pcr2}.measurements()
	if err != nil {
		return Measurements{}, refuse(ReasonMeasurements, "measurements: %v", err)
	}
	return m, nil
}

// anyZero reports whether one of the three registers is all zero.
func (m Measurements) anyZero() bool {
	var zero [PCRSize]byte
	return m.PCR0 == zero || m.PCR1 == zero || m.PCR2 == zero
}

// anyLocal reports whether one of the three registers is a local marker.
func (m Measurements) anyLocal() bool {
	l := LocalMeasurements()
	for _, mine := range [][PCRSize]byte{m.PCR0, m.PCR1, m.PCR2} {
		if mine == l.PCR0 || mine == l.PCR1 || mine == l.PCR2 {
			return true
		}
	}
	return false
}

// lowerHex decodes exactly size bytes of lower-case hex, so that every value
// has one spelling.
func lowerHex(s string, size int) ([]byte, error) {
	if len(s) != 2*size {
		return nil, fmt.Errorf("must be %d hex digits, has %d characters", 2*size, len(s))
	}
	b, err := hex.DecodeString(s)
	if err != nil || hex.EncodeToString(b) != s {
		return nil, fmt.Errorf("must be lower-case hex")
	}
	return b, nil
}
