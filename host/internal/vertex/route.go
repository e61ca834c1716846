package vertex

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/enclave/wire"
	"github.com/sallyport/sallyport/host/internal/front"
)

// document describes the API.
//
//go:embed openapi.yaml
var document []byte

// DocumentPath is where the host serves the description of the API.
const DocumentPath = "/sallyport/v1/openapi-node.yaml"

// Ways to wait for an endpoint.
const (
	quick    = iota // the enclave answers by itself
	together        // other parties have to come
)

// An endpoint is a path of the API. Those of the three schemes are given
// without the scheme. A path that ends in a slash is followed by a key id.
type endpoint struct {
	path, allow string
	wait        int
}

// getOrPost is for what changes state and is published as GET: both work.
const getOrPost = "GET, POST"

var common = []endpoint{
	{"/admin/create-user", getOrPost, quick},
	{"/admin/generate-api-key", getOrPost, quick},
	{"/admin/revoke-api-key", http.MethodDelete, quick},
	{"/admin/delete-user", http.MethodDelete, quick},
	{"/admin/list-users", http.MethodGet, quick},
	{"/admin/policies/add-external-rule", http.MethodPost, quick},
	{"/admin/policies/create-policy", http.MethodPost, quick},
	{"/admin/policies/attach-policy-to-user", http.MethodPost, quick},
	{"/admin/policies/attach-policy-to-key", http.MethodPost, quick},
	{"/admin/policies/detach-policy-from-user", http.MethodPost, quick},
	{"/admin/policies/detach-policy-from-key", http.MethodPost, quick},
	{"/admin/policies/add-rule-to-policy", http.MethodPost, quick},
	{"/admin/policies/remove-rule-from-policy", http.MethodPost, quick},
	{"/admin/policies/delete-policy", http.MethodPost, quick},
	{"/admin/policies/delete-rule", http.MethodPost, quick},
	{"/admin/policies/list-all-rules", http.MethodGet, quick},
	{"/admin/policies/list-all-policies", http.MethodGet, quick},
	{"/admin/policies/get-effective-key-policy", http.MethodGet, quick},
	{"/identity-pubkey", http.MethodGet, quick},
	{"/create-room", http.MethodPost, quick},
}

var schemes = []string{"/ecdsa", "/ed25519", "/bip340"}

var ofScheme = []endpoint{
	{"/create", getOrPost, quick},
	{"/keygen", http.MethodPost, together},
	{"/sign", http.MethodPost, together},
	{"/batch-sign", http.MethodPost, together},
	{"/derive-pubkey", http.MethodPost, quick},
	{"/refresh", http.MethodPost, together},
	{"/reshare/new-party", http.MethodPost, together},
	{"/reshare/existing-party", http.MethodPost, together},
	{"/import/key-importer", http.MethodPost, together},
	{"/import/import-key-share-recipient", http.MethodPost, together},
	{"/export/full", http.MethodPost, together},
	{"/export/exportId/", http.MethodGet, quick},
	{"/backup/export-key-share/", http.MethodGet, quick},
	{"/backup/import-key-share", http.MethodPost, quick},
	{"/list-keys", http.MethodGet, quick},
	{"/delete-key/", http.MethodDelete, quick},
}

// table holds the route of every path, those that a key id follows with the
// slash at their end.
type table map[string]*front.Route

func newTable(lanes ...*front.Lane) table {
	t := table{DocumentPath: {Allow: "GET, HEAD", Page: serveDocument}}
	add := func(scheme string, list []endpoint) {
		for _, e := range list {
			t[scheme+e.path] = &front.Route{API: wire.APINode, Allow: e.allow, Lane: lanes[e.wait]}
		}
	}
	add("", common)
	for _, s := range schemes {
		add(s, ofScheme)
	}
	return t
}

func serveDocument(x *front.Exchange) { x.WriteAs("application/yaml", http.StatusOK, document) }

// find takes a path as it stands. A base URL that ends in a slash makes clients
// send two at the start, so one of them is dropped. What was percent-encoded is
// unknown, because then path and bytes would differ.
func (t table) find(r *http.Request) (path string, route *front.Route, mine bool) {
	path = r.URL.Path
	if strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	if r.URL.RawPath == "" {
		route = t[path]
		if at := strings.LastIndexByte(path, '/') + 1; route == nil && plainID(path[at:]) {
			route = t[path[:at]]
		} else if route != nil && at == len(path) {
			route = nil // the id is missing
		}
	}
	return path, route, route != nil || belongs(path)
}

// belongs reports whether unknown paths of this form are refused by this API.
func belongs(path string) bool {
	for _, prefix := range []string{"/admin", "/ecdsa", "/ed25519", "/bip340", "/identity-pubkey", "/create-room"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// maxID is more than any id has: a UUID has 36 characters.
const maxID = 64

// plainID reports whether s could be the id of a key. Which exist is the
// enclave's business.
func plainID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}
