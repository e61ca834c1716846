package org

import (
	"github.com/sallyport/sallyport/enclave/internal/mpc"
)

// A dealer stands for the protocols.
type dealer struct {
	rooms map[mpc.RoomID]*meeting
}

type meeting struct{}

func (w *world) equip(r *rig, g *KeyGroup) {
	g.Caller = port{w, r.node}
}
