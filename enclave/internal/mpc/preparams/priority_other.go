//go:build !linux

package preparams

import "errors"

// lowerPriority needs threads with priorities of their own.
func lowerPriority() error { return errors.ErrUnsupported }
