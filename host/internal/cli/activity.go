package cli

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/sallyport/sallyport/host/client"
)

type activityGroup struct {
	List    activityList    `cmd:"" help:"List activities, newest first."`
	Get     activityGet     `cmd:"" help:"Show what an activity's submitter signed, its votes and its result. All signatures are verified here."`
	Approve activityApprove `cmd:"" help:"Verify and show an activity, and approve exactly what was shown."`
	Reject  activityReject  `cmd:"" help:"Reject an activity, which ends it."`
}

// A summary is an activity in a list.
type summary struct {
	ActivityID  string `json:"activityId"`
	Status      string `json:"status"`
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
	CanApprove  bool   `json:"canApprove"`
	CreatedAt   string `json:"createdAt"`
}

func summaryOf(a *client.Activity) summary {
	return summary{a.ID, a.Status, a.Type, a.Fingerprint, a.CanApprove, a.CreatedAt.Time().Format(time.RFC3339)}
}

func statusName(s string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s, "ACTIVITY_STATUS_")), "_", " ")
}

func typeName(t string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(t, "ACTIVITY_TYPE_")), "_", " ")
}

type activityList struct {
	Connection `embed:""`
	Status     []string `enum:"pending,completed,failed,rejected" placeholder:"STATUS" help:"Only these: pending, completed, failed, rejected."`
	Limit      int      `default:"20" help:"At most this many, up to 100."`
	After      string   `placeholder:"ID" help:"Go on with those older than this one."`
}

var statuses = map[string]string{
	"pending": client.StatusConsensusNeeded, "completed": client.StatusCompleted,
	"failed": client.StatusFailed, "rejected": client.StatusRejected,
}

// Run lists activities.
func (c *activityList) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		f := client.ActivityFilter{Limit: c.Limit, After: c.After}
		for _, name := range c.Status {
			f.Statuses = append(f.Statuses, statuses[name])
		}
		list, err := s.ListActivities(ctx, f)
		if err != nil {
			return err
		}
		out := []summary{}
		for _, a := range list {
			out = append(out, summaryOf(a))
		}
		return s.show(map[string]any{"activities": out}, func(p *printer) {
			if len(out) == 0 {
				p.line("no activities")
			}
			for _, a := range out {
				mine := ""
				if a.CanApprove {
					mine = "  (waits for you)"
				}
				p.line("%s  %s  %-16s %s%s", a.ActivityID, a.CreatedAt, statusName(a.Status), typeName(a.Type), mine)
			}
		})
	})
}

type activityGet struct {
	Connection `embed:""`
	ID         string `arg:"" help:"Activity."`
}

// Run shows an activity.
func (c *activityGet) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		r, err := s.ReviewActivity(ctx, c.ID)
		if err != nil {
			return err
		}
		says := s.describe(ctx, r)
		return s.show(documentOf(r, says), func(p *printer) { p.review(r, says) })
	})
}

type activityApprove struct {
	Connection  `embed:""`
	ID          string `arg:"" help:"Activity."`
	Fingerprint string `placeholder:"sha256:HEX" help:"Approve only if it is this one, as shown by activity get."`
}

// Run reviews and approves.
func (c *activityApprove) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		return s.vote(ctx, c.ID, c.Fingerprint, s.Approve, "approved")
	})
}

type activityReject struct {
	Connection  `embed:""`
	ID          string `arg:"" help:"Activity."`
	Fingerprint string `placeholder:"sha256:HEX" help:"Reject only if it is this one, as shown by activity get."`
}

// Run reviews and rejects.
func (c *activityReject) Run(ctx context.Context, s *Streams) error {
	return c.run(ctx, s, needUser, func(ctx context.Context, s *session) error {
		return s.vote(ctx, c.ID, c.Fingerprint, s.Reject, "rejected")
	})
}

// vote shows an activity as its submitter signed it, and votes on exactly that.
func (s *session) vote(ctx context.Context, id, pinned string, cast func(context.Context, string) (*client.Activity, error), done string) error {
	r, err := s.ReviewActivity(ctx, id)
	if err != nil {
		return err
	}
	if pinned != "" && pinned != r.Fingerprint {
		return &client.ReviewError{Reason: client.ReviewFingerprint, Message: "it is " + r.Fingerprint + ", not the one given"}
	}
	says := s.describe(ctx, r)
	if !s.json {
		p := &printer{w: s.Out}
		if p.review(r, says); p.err != nil {
			return p.err
		}
	}
	a, err := cast(ctx, r.Fingerprint)
	if err != nil {
		return err
	}
	if r, err = s.Review(a); err != nil {
		return err
	}
	if err := s.show(documentOf(r, says), func(p *printer) { p.line("%s: it is now %s", done, statusName(a.Status)) }); err != nil {
		return err
	}
	if a.Status == client.StatusFailed {
		return a.Err()
	}
	return nil
}

// reviewDocument is a reviewed activity as JSON. Parameters are the
// submitter's own bytes.
type reviewDocument struct {
	summary
	Says       string                     `json:"says"`
	Parameters json.RawMessage            `json:"parameters"`
	Votes      []voteDocument             `json:"votes"`
	Result     map[string]json.RawMessage `json:"result"`
	Failure    json.RawMessage            `json:"failure"`
}

type voteDocument struct {
	UserID    string `json:"userId"`
	UserName  string `json:"userName"`
	Selection string `json:"selection"`
	PublicKey string `json:"publicKey"`
	Submitter bool   `json:"submitter"`
	CreatedAt string `json:"createdAt"`
}

func documentOf(r *client.Review, says string) *reviewDocument {
	d := &reviewDocument{
		summary: summaryOf(r.Activity), Says: says, Parameters: json.RawMessage(r.Parameters),
		Votes: []voteDocument{}, Result: r.Activity.Result, Failure: r.Activity.Failure,
	}
	for _, v := range r.Votes {
		d.Votes = append(d.Votes, voteDocument{
			v.UserID, v.User.UserName, v.Selection, v.PublicKey, v.Submitter, v.CreatedAt.Time().Format(time.RFC3339),
		})
	}
	return d
}
