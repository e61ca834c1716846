package activity_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

// at makes the body of a creation with this JSON value as its timestamp.
func (w *world) at(timestamp string) []byte {
	w.stamps++
	return []byte(strings.Replace(w.raw("k"+strconv.FormatInt(w.stamps, 10)), `"timestampMs":"`+w.last()+`"`, `"timestampMs":`+timestamp, 1))
}

// last is the timestamp that timestamp gave last.
func (w *world) last() string { return strconv.FormatInt(w.now.UnixMilli()-100_000+w.stamps, 10) }

func TestTimeWindowIsExactToTheMillisecond(t *testing.T) {
	w := newWorld(t, 1, 1)
	for _, c := range []struct {
		offset time.Duration
		ok     bool
	}{
		{-time.Hour - time.Millisecond, false},
		{-time.Hour, false}, // must be less than an hour old
		{-time.Hour + time.Millisecond, true},
		{-time.Millisecond, true},
		{0, true},
		{time.Millisecond, true},
		{5*time.Minute - time.Millisecond, true},
		{5 * time.Minute, true},
		{5*time.Minute + time.Millisecond, false},
		{24 * time.Hour, false},
		{-24 * time.Hour, false},
	} {
		body := w.at(strconv.Quote(strconv.FormatInt(w.now.Add(c.offset).UnixMilli(), 10)))
		if c.ok {
			w.adds(1, func() { w.is(w.activity(w.send(createKeysPath, body, 0)), completed) })
		} else {
			w.adds(0, func() {
				if r := w.refused(w.send(createKeysPath, body, 0), 400, 3); !strings.Contains(r.Message, "timestampMs") {
					t.Errorf("%v: message %q", c.offset, r.Message)
				}
			})
		}
	}
}

func TestTimestampHasOneForm(t *testing.T) {
	w := newWorld(t, 1, 1)
	now := strconv.FormatInt(w.now.UnixMilli(), 10)
	for _, value := range []string{
		now, `""`, `"0"`, `"-` + now + `"`, `"+` + now + `"`, `"0` + now + `"`, `" ` + now + `"`, `"` + now + ` "`, `"` + now + `.0"`,
		`"0x` + strconv.FormatInt(w.now.UnixMilli(), 16) + `"`, `"1e12"`, `"9223372036854775807"`, `"9223372036854775808"`, `"-9223372036854775808"`,
		`"` + strings.Repeat("9", 1000) + `"`, `"` + strconv.FormatInt(w.now.Unix(), 10) + `"`, `"` + strconv.FormatInt(w.now.UnixNano(), 10) + `"`,
		`"` + w.now.UTC().Format(time.RFC3339) + `"`, `null`, `true`, `["` + now + `"]`, `1e3`, `"` + "\u0661" + `"`, `"` + now[:6] + `_` + now[6:] + `"`,
	} {
		w.adds(0, func() { w.refused(w.send(createKeysPath, w.at(value), 0), 400, 3) })
	}
	if !json.Valid(w.at(`"1"`)) || !strings.Contains(string(w.at(`"1"`)), `"timestampMs":"1"`) {
		t.Error("the test does not set the timestamp")
	}
}

func TestRecordedAnswerOutlivesTheWindowAndARestart(t *testing.T) {
	w := newWorld(t, 1, 1)
	body := w.body(createKeysType, keyParams("k"))
	req := w.stamped(createKeysPath, body, w.keys[0])
	first := w.do(req)
	for _, later := range []time.Duration{time.Minute, time.Hour, 48 * time.Hour} {
		w.now = w.now.Add(later)
		w.adds(0, func() {
			if again := w.do(req); string(again.Body) != string(first.Body) {
				t.Errorf("after %v: %s", later, again.Body)
			}
		})
		w.enclave.Restart(t)
		w.adds(0, func() {
			if again := w.do(req); string(again.Body) != string(first.Body) {
				t.Errorf("after %v and a restart: %s", later, again.Body)
			}
		})
	}
}

func TestRefusedBodyStaysRefusedAfterARestart(t *testing.T) {
	w := newWorld(t, 1, 1)
	req := w.stamped(createKeysPath, w.body(createKeysType, keyParams("k")), w.keys[0])
	w.now = w.now.Add(2 * time.Hour)
	w.refused(w.do(req), 400, 3)
	w.enclave.Restart(t)
	w.adds(0, func() { w.refused(w.do(req), 400, 3) })
}

// The recorded time never goes below that of an earlier entry.
func TestClockThatGoesBackDoesNotTurnActivitiesAround(t *testing.T) {
	w := newWorld(t, 1, 1)
	a := w.submit("create_private_keys", createKeysType, keyParams("a"), 0)
	w.now = w.now.Add(-10 * time.Minute)
	b := w.submit("create_private_keys", createKeysType, keyParams("b"), 0)
	ta, tb := w.createdAt(a.ID), w.createdAt(b.ID)
	if tb < ta {
		t.Errorf("the later activity is of %d, the earlier of %d", tb, ta)
	}
	w.enclave.Restart(t)
	if w.createdAt(b.ID) != tb {
		t.Error("another time after a restart")
	}
}

func (w *world) createdAt(aid string) int64 {
	w.Helper()
	var out struct {
		Activity struct {
			CreatedAt struct{ Seconds, Nanos string }
		}
	}
	w.query("get_activity", map[string]string{"organizationId": w.org, "activityId": aid}, 0, &out)
	s, err := strconv.ParseInt(out.Activity.CreatedAt.Seconds, 10, 64)
	if err != nil {
		w.Fatal(err)
	}
	n, err := strconv.ParseInt(out.Activity.CreatedAt.Nanos, 10, 64)
	if err != nil || n%1_000_000 != 0 || n >= 1_000_000_000 {
		w.Fatal("nanos", out.Activity.CreatedAt.Nanos, err)
	}
	return s*1000 + n/1_000_000
}
