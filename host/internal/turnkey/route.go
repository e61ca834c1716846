package turnkey

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/enclave/wire"
)

type kind uint8

const (
	kindForward kind = iota
	kindAlive
	kindReady
)

// route is one row of the routing table.
type route struct {
	kind  kind
	api   wire.API
	allow string // the Allow header: methods separated by ", "
}

func (r *route) allows(method string) bool {
	if method == r.allow {
		return true
	}
	for m := range strings.SplitSeq(r.allow, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

var activityRoute = &route{kind: kindForward, api: wire.APIActivity, allow: http.MethodPost}

// exact holds the paths that are names themselves.
var exact = map[string]*route{
	"/sallyport/v1/organizations": {kind: kindForward, api: wire.APISallyport, allow: http.MethodPost},
	"/sallyport/v1/status":        {kind: kindForward, api: wire.APISallyport, allow: http.MethodGet},
	"/healthz":                    {kind: kindAlive, allow: "GET, HEAD"},
	"/readyz":                     {kind: kindReady, allow: "GET, HEAD"},
}

// The two families of the activity API; a name follows the slash. Which names
// exist is the enclave's business.
const (
	submitPrefix = "/public/v1/submit/"
	queryPrefix  = "/public/v1/query/"
)

// find returns the normalised path and its route, nil when there is none. A
// path is taken as it stands, with one exception: a base URL that ends in a
// slash makes clients send two at the start, so one of them is dropped. What
// was percent-encoded is refused, because then path and bytes would differ.
func find(r *http.Request) (string, *route) {
	if r.URL.RawPath != "" {
		return "", nil
	}
	path := r.URL.Path
	if strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	name, ok := strings.CutPrefix(path, submitPrefix)
	if !ok {
		name, ok = strings.CutPrefix(path, queryPrefix)
	}
	if ok {
		if !plainName(name) {
			return "", nil
		}
		return path, activityRoute
	}
	return path, exact[path]
}

// maxName is twice the longest name in the activity API.
const maxName = 64

// plainName reports whether s could be the name of an activity or a query.
func plainName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
