//go:build !linux

package nsm

import (
	"errors"
	"os"
)

func openDevice(path string) (Device, error) {
	return nil, &os.PathError{Op: "opening", Path: path, Err: errors.ErrUnsupported}
}
