package main

import (
	"fmt"
)

// httpPathRows are paths and methods that name nothing, or something else than
// the body.
var httpPathRows = []row{
	{id: "B5", what: "path says sign, type says export, and the reverse", run: wrongPath},
	{id: "B6", what: "traversal, encoded slashes, doubled slashes inside, other case", run: traversal},
	{id: "B6b", what: "method override by header", run: override},
	{id: "B6c", what: "every other method", run: methods},
}

func wrongPath(w *world) (string, error) {
	if _, err := w.main.stamped(invalid, exportPath, w.main.signBody(), "does not belong to"); err != nil {
		return "", err
	}
	body := w.main.body(typeExport, object{"privateKeyId": w.main.keyID, "targetPublicKey": "04"})
	return w.main.stamped(invalid, signPath, body, "does not belong to")
}

func traversal(w *world) (string, error) {
	body := w.main.signBody()
	stamp := mustStamp(body, w.main.key())
	return each([]string{
		"/public/v1/submit/../submit/sign_raw_payload", "/public/v1/submit/%2e%2e/query/whoami", "/public/v1/submit%2fsign_raw_payload",
		"/public//v1/submit/sign_raw_payload", "///public/v1/submit/sign_raw_payload", "/PUBLIC/v1/submit/sign_raw_payload",
		"/public/v1/submit/sign_raw_payload/", "/public/v1/submit/sign_raw_payload%00", "/public/v1/submit/", "/public/v1/submit/nothing",
		"/public/v1/query/sign_raw_payload", "/public/v1/submit/./sign_raw_payload", "/", "/admin", "/debug/pprof/", "/metrics",
		"/public/v1/submit/Sign_Raw_Payload", "/sallyport/v1/organizations/x", "/public/v1/submit/sign_raw_payload;x=1",
	}, func(path string) (string, error) {
		r, err := w.withStamp(path, body, stamp)
		seen, err := notFound.judge(r, err)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return seen, nil
	})
}

func override(w *world) (string, error) {
	return each([]string{"X-Http-Method-Override", "X-Method-Override", "X-Http-Method"}, func(h string) (string, error) {
		r, err := w.http.Do("GET", signPath, nil, h, "POST", "X-Stamp", "x")
		return noMethod.judge(r, err)
	})
}

func methods(w *world) (string, error) {
	return each([]string{"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "post"}, func(m string) (string, error) {
		r, err := w.http.Do(m, signPath, nil)
		return noMethod.judge(r, err)
	})
}
