package turnkey

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

// table is the routing table.
type table struct {
	activity *front.Route
	exact    map[string]*front.Route // paths that are names themselves
}

func newTable(lane *front.Lane, ready *readiness) *table {
	return &table{
		activity: &front.Route{API: wire.APIActivity, Lane: lane, Allow: http.MethodPost},
		exact: map[string]*front.Route{
			"/sallyport/v1/organizations": {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/sallyport/v1/status":        {API: wire.APISallyport, Lane: lane, Allow: http.MethodGet},
			// A ceremony's: which of them there are, the enclave says.
			"/sallyport/v1/ceremony/genesis":  {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/sallyport/v1/ceremony/receiver": {API: wire.APISallyport, Lane: lane, Allow: http.MethodGet},
			"/sallyport/v1/ceremony/nonce":    {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/sallyport/v1/ceremony/handover": {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/sallyport/v1/ceremony/root":     {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/sallyport/v1/ceremony/spread":   {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/sallyport/v1/ceremony/share":    {API: wire.APISallyport, Lane: lane, Allow: http.MethodPost},
			"/healthz":                        {Page: serveAlive, Allow: "GET, HEAD"},
			"/readyz":                         {Page: ready.serve, Allow: "GET, HEAD"},
		},
	}
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
func (t *table) find(r *http.Request) (path string, route *front.Route, mine bool) {
	if r.URL.RawPath != "" {
		return "", nil, false
	}
	path = r.URL.Path
	if strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	name, ok := strings.CutPrefix(path, submitPrefix)
	if !ok {
		name, ok = strings.CutPrefix(path, queryPrefix)
	}
	if !ok {
		route = t.exact[path]
		return path, route, route != nil
	}
	if !plainName(name) {
		return "", nil, true
	}
	return path, t.activity, true
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
