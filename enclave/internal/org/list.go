package org

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

type listActivities struct {
	inOrganization
	FilterByStatus []string    `json:"filterByStatus"`
	FilterByType   []string    `json:"filterByType"`
	Pagination     *pagination `json:"paginationOptions"`
}

// A pagination walks the list, newest first. Before and after are activity
// ids; after goes on to older ones.
type pagination struct {
	Limit  string `json:"limit"`
	Before string `json:"before"`
	After  string `json:"after"`
}

const (
	defaultPage = 10
	maxPage     = 100

	// maxPageBytes ends a page early, so that it crosses the door in one
	// frame. Lists that have no pages cross in parts.
	maxPageBytes = 640 << 10
)

func (q *listActivities) answer(ctx context.Context, s *Service, c *caller, _ []byte) (any, error) {
	page, err := q.page(s, c)
	if err != nil {
		return nil, err
	}
	views := []json.RawMessage{}
	for size := 0; len(page) > 0; {
		a, rest := page[0], page[1:]
		if q.backward() {
			a, rest = page[len(page)-1], page[:len(page)-1]
		}
		view, err := s.activityJSON(ctx, a, c)
		if err != nil {
			return nil, err
		}
		if size += len(view); size > maxPageBytes && len(views) > 0 {
			break
		}
		page, views = rest, append(views, view)
	}
	if q.backward() {
		slices.Reverse(views)
	}
	return map[string]any{"activities": views}, nil
}

func (s *Service) activityJSON(ctx context.Context, a *activity, c *caller) ([]byte, error) {
	snap, err := s.look(ctx, a)
	if err != nil {
		return nil, err
	}
	view, err := s.activityView(ctx, snap, c, nil)
	if err != nil {
		return nil, err
	}
	return marshal(view)
}

// backward tells a page that ends at its cursor from one that begins there.
func (q *listActivities) backward() bool {
	return q.Pagination != nil && q.Pagination.Before != "" && q.Pagination.After == ""
}

func (q *listActivities) page(s *Service, c *caller) ([]*activity, error) {
	if err := q.validFilters(); err != nil {
		return nil, err
	}
	p := pagination{}
	if q.Pagination != nil {
		p = *q.Pagination
	}
	limit := defaultPage
	if p.Limit != "" {
		n, err := strconv.Atoi(p.Limit)
		if err != nil || strconv.Itoa(n) != p.Limit || n < 1 || n > maxPage {
			return nil, bad("bad request body: paginationOptions.limit must be a decimal string from 1 to %d", maxPage)
		}
		limit = n
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := c.org.activities // oldest first
	newest, oldest := len(list)-1, 0
	if p.After != "" {
		i, err := c.org.indexOf("after", p.After)
		if err != nil {
			return nil, err
		}
		newest = i - 1
	}
	if p.Before != "" {
		i, err := c.org.indexOf("before", p.Before)
		if err != nil {
			return nil, err
		}
		oldest = i + 1
	}
	if q.backward() {
		return q.nearest(list, oldest, limit), nil
	}
	var out []*activity
	for i := newest; i >= oldest && len(out) < limit; i-- {
		if q.wants(list[i]) {
			out = append(out, list[i])
		}
	}
	return out, nil
}

// statuses are all that the published schema has, also those that no activity
// reaches here.
var statuses = []string{
	"ACTIVITY_STATUS_CREATED", "ACTIVITY_STATUS_PENDING", "ACTIVITY_STATUS_COMPLETED", "ACTIVITY_STATUS_FAILED",
	"ACTIVITY_STATUS_CONSENSUS_NEEDED", "ACTIVITY_STATUS_REJECTED", "ACTIVITY_STATUS_AUTHENTICATORS_NEEDED",
}

// validFilters refuses what no activity could ever have. Types of the
// published schema that are not served here are no mistake: none is listed.
func (q *listActivities) validFilters() error {
	for i, f := range q.FilterByStatus {
		if !slices.Contains(statuses, f) {
			return bad("bad request body: filterByStatus[%d] must be an activity status", i)
		}
	}
	for i, f := range q.FilterByType {
		if !strings.HasPrefix(f, "ACTIVITY_TYPE_") {
			return bad("bad request body: filterByType[%d] must be an activity type", i)
		}
	}
	return nil
}

// nearest is the page that ends just before a cursor: the oldest ones that
// are newer than it, newest first.
func (q *listActivities) nearest(list []*activity, oldest, limit int) []*activity {
	var out []*activity
	for i := oldest; i < len(list) && len(out) < limit; i++ {
		if q.wants(list[i]) {
			out = append([]*activity{list[i]}, out...)
		}
	}
	return out
}

func (q *listActivities) wants(a *activity) bool {
	return listed(q.FilterByStatus, a.status.text()) && listed(q.FilterByType, a.typ)
}

// listed tells whether a filter, empty for all, has the value.
func listed(filter []string, value string) bool {
	for _, f := range filter {
		if f == value {
			return true
		}
	}
	return len(filter) == 0
}

func (o *organization) indexOf(member, text string) (int, error) {
	aid, ok := parseID(text)
	if !ok {
		return 0, bad("bad request body: paginationOptions.%s must be a lower-case UUID", member)
	}
	if a := o.byID[aid]; a != nil {
		for i := len(o.activities) - 1; i >= 0; i-- {
			if o.activities[i] == a {
				return i, nil
			}
		}
	}
	return 0, notFound("paginationOptions.%s: no such activity", member)
}
