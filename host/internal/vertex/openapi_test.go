package vertex

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sallyport/sallyport/host/internal/front"
	"github.com/sallyport/sallyport/host/internal/front/fronttest"
)

func loadDocument(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentDescribesExactlyTheRoutes(t *testing.T) {
	lane := front.NewLane(1, time.Second)
	routes := newTable(lane, lane)
	delete(routes, DocumentPath)
	doc := loadDocument(t)
	for path, item := range doc.Paths.Map() {
		at := strings.IndexByte(path, '{')
		if at < 0 {
			at = len(path)
		}
		route := routes[path[:at]]
		if route == nil {
			t.Errorf("%s: there is no such route", path)
			continue
		}
		delete(routes, path[:at])
		var methods []string
		for method := range item.Operations() {
			methods = append(methods, method)
		}
		slices.Sort(methods)
		if got := strings.Join(methods, ", "); got != route.Allow {
			t.Errorf("%s: %s, but the route allows %s", path, got, route.Allow)
		}
	}
	for path := range routes {
		t.Errorf("%s is not described", path)
	}
}

func TestEveryOperationHasThePublishedErrors(t *testing.T) {
	for path, item := range loadDocument(t).Paths.Map() {
		for method, op := range item.Operations() {
			if n := op.Responses.Len(); n != 1+len(types) {
				t.Errorf("%s %s has %d answers", method, path, n)
			}
			for status, want := range types {
				r := op.Responses.Value(strconv.Itoa(status))
				if r == nil {
					t.Errorf("%s %s: no answer %d", method, path, status)
					continue
				}
				schema := r.Value.Content["application/json"].Schema.Value
				var got []string
				for _, v := range schema.Properties["err_type"].Value.Enum {
					got = append(got, v.(string))
				}
				if !slices.Equal(got, want) || !slices.Equal(schema.Required, []string{"err_msg", "err_type"}) {
					t.Errorf("%s %s: %d has %q", method, path, status, got)
				}
			}
		}
	}
}

func TestOperationsTellWhatTheyTake(t *testing.T) {
	for path, item := range loadDocument(t).Paths.Map() {
		for method, op := range item.Operations() {
			if op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s has no summary or not one tag", method, path)
			}
			get := newTable(nil, nil)[path] != nil && strings.Contains(newTable(nil, nil)[path].Allow, http.MethodGet)
			if (op.RequestBody != nil) != (method == http.MethodPost && !get) {
				t.Errorf("%s %s: body is described: %v", method, path, op.RequestBody != nil)
			}
			if at := strings.IndexByte(path, '{'); (at >= 0) != (op.Parameters.GetByInAndName("path", "key_id") != nil) {
				t.Errorf("%s %s: path parameter", method, path)
			}
		}
	}
}

func TestHostServesTheDocument(t *testing.T) {
	f := &fronttest.Enclave{}
	a := fronttest.Do(t, "GET", serve(t, f, Config{})+DocumentPath, "", nil)
	if a.Status != 200 || a.Body != string(document) || a.Header.Get("Content-Type") != "application/yaml" || len(f.Requests()) != 0 {
		t.Errorf("%d %s, %d bytes", a.Status, a.Header.Get("Content-Type"), len(a.Body))
	}
}
