package dev

import (
	"fmt"
	"strings"
)

// shape is what was decided when a folder was made and cannot change later.
type shape struct {
	RootUsers int
	Quorum    int
	Root      string // "file" or "pkcs11"
	Nodes     int
	Threshold int // of the key group of several nodes; 0 for one
}

// maxNodes is how many enclaves a development machine bears.
const maxNodes = 5

// minThreshold is the least that is no single point of trust, and the default.
const minThreshold = 2

// maxRootUsers keeps the founding body well inside the body limit.
const maxRootUsers = 64

// shape settles the flags against what the folder was made with. A flag that
// is not given takes the folder's value; one that differs is refused, because
// the organization that exists cannot be made another by a flag.
func (c *Command) shape(kept *kept) (shape, error) {
	s := shape{RootUsers: 1, Quorum: 1, Root: "file", Nodes: 1}
	if c.Root != "" {
		if !strings.HasPrefix(c.Root, "pkcs11:") {
			return s, fmt.Errorf("--root: must be a pkcs11: URI")
		}
		s.Root = "pkcs11"
	}
	if kept != nil {
		return c.continued(kept.shape, s.Root)
	}
	if c.RootUsers != nil {
		s.RootUsers = *c.RootUsers
	}
	if c.Quorum != nil {
		s.Quorum = *c.Quorum
	}
	if s.RootUsers < 1 || s.RootUsers > maxRootUsers {
		return s, fmt.Errorf("--root-users: must be 1 to %d, is %d", maxRootUsers, s.RootUsers)
	}
	if s.Quorum < 1 || s.Quorum > s.RootUsers {
		return s, fmt.Errorf("--quorum: must be 1 to --root-users (%d), is %d", s.RootUsers, s.Quorum)
	}
	if c.Nodes != nil {
		s.Nodes = *c.Nodes
	}
	if s.Nodes > 1 {
		s.Threshold = minThreshold
	}
	if c.Threshold != nil {
		s.Threshold = *c.Threshold
	}
	return s, s.checkNodes()
}

func (s shape) checkNodes() error {
	switch {
	case s.Nodes < 1 || s.Nodes > maxNodes:
		return fmt.Errorf("--nodes: must be 1 to %d, is %d", maxNodes, s.Nodes)
	case s.Nodes > 1 && s.Root == "pkcs11":
		return fmt.Errorf("--root: each node has a root of its own, in a file")
	case s.Nodes == 1 && s.Threshold != 0:
		return fmt.Errorf("--threshold: is for --nodes of 2 and more")
	case s.Nodes > 1 && (s.Threshold < minThreshold || s.Threshold > s.Nodes):
		return fmt.Errorf("--threshold: must be %d to --nodes (%d), is %d", minThreshold, s.Nodes, s.Threshold)
	}
	return nil
}

func (c *Command) continued(was shape, root string) (shape, error) {
	for _, f := range []struct {
		name  string
		given *int
		was   int
	}{{"--root-users", c.RootUsers, was.RootUsers}, {"--quorum", c.Quorum, was.Quorum}, {"--nodes", c.Nodes, was.Nodes}, {"--threshold", c.Threshold, was.Threshold}} {
		if f.given != nil && *f.given != f.was {
			return was, fmt.Errorf("%s %d: %s was made with %s %d, use that or another folder", f.name, *f.given, c.Data, f.name, f.was)
		}
	}
	if root != was.Root {
		hint := "leave --root away"
		if was.Root == "pkcs11" {
			hint = "give the same --root pkcs11:URI again"
		}
		return was, fmt.Errorf("--root: %s was made with a root of kind %s, not %s: %s", c.Data, was.Root, root, hint)
	}
	return was, was.checkNodes()
}
