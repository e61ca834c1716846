//go:build !goexperiment.runtimesecret

package keys

// WithSecret runs f. In a toolchain with GOEXPERIMENT=runtimesecret it also
// erases the registers, stack and heap that f used; this one has it not.
func WithSecret(f func()) { f() }
