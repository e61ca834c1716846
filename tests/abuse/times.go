package main

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/tests/appliance"
)

// timeRows are block D. The clock of the local platform is the machine's, so
// the edges of the window are tried to the second here; tests/activity tries
// them to the millisecond with a clock of its own.
var timeRows = []row{
	{id: "D1", what: "one body twelve times at once on as many connections", run: atOnce, writes: true},
	{id: "D2", what: "timestamp 0, negative, 2^63-1, beyond, seconds, a number, 1e3, signed, padded, empty", run: badTimestamps},
	{id: "D3", what: "timestamp an hour old, and just not", run: oldEdge, writes: true},
	{id: "D3b", what: "timestamp five minutes ahead, and just more", run: newEdge, writes: true},
	{id: "D7", what: "one body 500 times: one activity, and others are served meanwhile", run: flood, writes: true},
	{id: "D8", what: "stamped query replayed to every path that changes something", run: replayedQuery},
}

func atOnce(w *world) (string, error) {
	body := w.main.body(typeCreate, keyParameters("CURVE_P256"))
	const n = 12
	ids := make([]string, n)
	errs := make([]error, n)
	before, err := w.journalSize()
	if err != nil {
		return "", err
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			h := appliance.NewHTTP(w.app.BaseURL)
			defer h.Close()
			a, err := served(h.Post(createPath, body, w.main.key()))
			if errs[i] = err; err == nil {
				ids[i] = a.ID
			}
		})
	}
	all.Wait()
	after, err := w.journalSize()
	if err != nil {
		return "", err
	}
	for i := range n {
		if errs[i] != nil || ids[i] != ids[0] {
			return "", fmt.Errorf("answer %d is %q, the first %q, %w", i, ids[i], ids[0], errs[i])
		}
	}
	if after != before+1 {
		return "", fmt.Errorf("%d entries were written", after-before)
	}
	return "one activity, one entry, twelve equal answers", nil
}

func badTimestamps(w *world) (string, error) {
	now := time.Now().UnixMilli()
	text := func(s string) string { return strconv.Quote(s) }
	return each([]string{
		text("0"), text("-1"), text("9223372036854775807"), text("9223372036854775808"), text("-9223372036854775808"),
		text(strconv.FormatInt(now/1000, 10)), strconv.FormatInt(now, 10), text("1e3"), "1e3", text("+" + strconv.FormatInt(now, 10)),
		text("0" + strconv.FormatInt(now, 10)), text(" " + strconv.FormatInt(now, 10)), text(""), text("x"), "null", text(strconv.FormatInt(now, 10) + ".0"),
		text("0x" + strconv.FormatInt(now, 16)), text(strconv.FormatInt(now*1000, 10)), text("٣"),
	}, func(value string) (string, error) {
		body := bytes.Replace(w.main.body(typeSign, w.main.signParameters()), []byte(`"timestampMs":"`), []byte(`"timestampMs":`+value+`,"x":"`), 1)
		// The old value becomes a member that has to go too.
		at := bytes.Index(body, []byte(`,"x":"`))
		end := at + len(`,"x":"`) + bytes.IndexByte(body[at+len(`,"x":"`):], '"') + 1
		body = append(body[:at:at], body[end:]...)
		return w.main.stamped(invalid, signPath, body, "timestampMs")
	})
}

func (w *world) signedAt(ms int64) (*appliance.Reply, error) {
	body := appliance.Body(typeSign, w.main.org, strconv.FormatInt(ms, 10), w.main.signParameters())
	return w.http.Post(signPath, body, w.main.key())
}

func oldEdge(w *world) (string, error) {
	if _, err := served(w.signedAt(time.Now().Add(-time.Hour + 5*time.Second).UnixMilli())); err != nil {
		return "", fmt.Errorf("59 min 55 s old: %w", err)
	}
	r, err := w.signedAt(time.Now().Add(-time.Hour).UnixMilli())
	return invalid.judge(r, err, "timestampMs")
}

func newEdge(w *world) (string, error) {
	if _, err := served(w.signedAt(time.Now().Add(5*time.Minute - 5*time.Second).UnixMilli())); err != nil {
		return "", fmt.Errorf("4 min 55 s ahead: %w", err)
	}
	r, err := w.signedAt(time.Now().Add(5*time.Minute + 2*time.Second).UnixMilli())
	return invalid.judge(r, err, "timestampMs")
}

func flood(w *world) (string, error) {
	body := w.other.signBody()
	stamp := mustStamp(body, w.other.key())
	before, err := w.journalSize()
	if err != nil {
		return "", err
	}
	var slowest time.Duration
	var honest sync.WaitGroup
	var honestErr error
	honest.Go(func() {
		for range 20 {
			began := time.Now()
			if honestErr = w.servesHonest(); honestErr != nil {
				return
			}
			slowest = max(slowest, time.Since(began))
		}
	})
	var first string
	for i := range 500 {
		a, err := served(w.withStamp(signPath, body, stamp))
		if err != nil {
			return "", err
		}
		if i == 0 {
			first = a.ID
		}
		if a.ID != first {
			return "", fmt.Errorf("answer %d is another activity", i)
		}
	}
	honest.Wait()
	after, err := w.journalSize()
	if err != nil {
		return "", err
	}
	if after != before+1 {
		return "", fmt.Errorf("%d entries were written", after-before)
	}
	return fmt.Sprintf("one entry; the slowest honest answer took %v", slowest.Round(time.Millisecond)), honestErr
}

// replayedQuery: a query's stamp covers neither path nor time.
func replayedQuery(w *world) (string, error) {
	body := toJSON(object{"organizationId": w.main.org})
	stamp := mustStamp(body, w.main.key())
	return each([]string{
		"create_private_keys", "sign_raw_payload", "sign_raw_payloads", "export_private_key", "create_users", "create_api_keys",
		"delete_api_keys", "approve_activity", "reject_activity", "update_root_quorum",
	}, func(name string) (string, error) {
		r, err := w.withStamp(appliance.Submit+name, body, stamp)
		return invalid.judge(r, err)
	})
}
