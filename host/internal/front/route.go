package front

import "strings"

func (r *Route) allows(method string) bool {
	if method == r.Allow {
		return true
	}
	for m := range strings.SplitSeq(r.Allow, ", ") {
		if m == method {
			return true
		}
	}
	return false
}
