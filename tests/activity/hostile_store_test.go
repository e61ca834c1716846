package activity_test

import "github.com/sallyport/sallyport/enclave/enclavetest"

// hostFlip changes a byte in the middle of a record.
func hostFlip(index int) func(*enclavetest.Host) {
	return func(h *enclavetest.Host) { h.Records[index][len(h.Records[index])/2] ^= 1 }
}
