package room

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLongOperationsTellThatTheyGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := &Rooms{Config: Config{Log: slog.New(slog.NewTextHandler(&log, nil))}}
		quick := r.follow("keygen")
		time.Sleep(firstReport / 2)
		quick.end()
		synctest.Wait()
		if log.Len() > 0 {
			t.Errorf("a quick operation says %q", &log)
		}
		long := r.follow("sign")
		time.Sleep(firstReport + time.Millisecond)
		long.now("all parties are there and compute")
		time.Sleep(reportEvery)
		long.end()
		synctest.Wait()
		for _, want := range []string{
			`msg="under way" operation=sign for=1s stage="waiting for all parties`, `for=3s stage="all parties are there`, "msg=ended operation=sign after=3.001s",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in the log: %s", want, &log)
			}
		}
	})
}
