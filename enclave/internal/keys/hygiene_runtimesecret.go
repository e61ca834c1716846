//go:build goexperiment.runtimesecret

package keys

import "runtime/secret"

// WithSecret runs f and erases the registers and the stack that f used, and
// the heap it allocated once the collector finds that unreachable. Goroutines
// started by f are not covered. What f returns must be copied into memory
// that the caller allocated outside.
func WithSecret(f func()) { secret.Do(f) }
