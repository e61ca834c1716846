package node

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/attestation/strictjson"
	"github.com/sallyport/sallyport/enclave/wire"
)

const (
	// ruleLife is how long a question and its answer are good.
	ruleLife = 60 * time.Second
	// ruleTimeout bounds the wait for one rule server.
	ruleTimeout = 10 * time.Second
)

// A question is what rule servers are asked about.
type question struct {
	action  string         // sign_ecdsa, export_ed25519 and so on
	request map[string]any // what is to be done
	extra   []byte         // from the caller, for the rule server
}

// claims are those of a question's JWT.
type claims struct {
	Action      string         `json:"action"`
	Request     strictjson.Raw `json:"request"`
	ExtraData   string         `json:"extra_data,omitempty"` // hex
	RequestID   string         `json:"request_id"`
	RequestHash string         `json:"request_hash"` // SHA-256 of the bytes of request, hex
	IssuedAt    int64          `json:"iat"`
	Expires     int64          `json:"exp"`
}

// ask asks every rule that a key is used under. All must say yes: no answer, and
// one that does not verify, are a no.
func (s *Service) ask(ctx context.Context, h *held, q *question) error {
	for i := range h.rules {
		if err := s.askOne(ctx, &h.rules[i], q); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) askOne(ctx context.Context, r *rule, q *question) error {
	no := func(why string) error { return refuse(typePolicy, "rule %q: %s", r.name, why) }
	key, err := parseRuleKey(r.alg, r.pubkey)
	if err != nil {
		return no("its public key does not parse")
	}
	asked, jwt, err := s.question(ctx, q)
	if err != nil {
		return err
	}
	if s.Network == nil {
		return no("this node reaches no rule servers")
	}
	ctx, cancel := context.WithTimeout(ctx, ruleTimeout)
	defer cancel()
	a, err := s.Network.AskRule(ctx, &wire.RuleQuestion{URL: r.url, JWT: jwt})
	switch {
	case err != nil:
		s.Log.Warn("node API: asking a rule server", "rule", r.id.String(), "error", err)
		return no("the rule server did not answer")
	case a.Status != httpOK:
		return no("the rule server answered with status " + strconv.Itoa(a.Status))
	}
	if why := asked.judge(r.alg, key, string(a.Body), s.Now()); why != "" {
		return no(why)
	}
	return nil
}

// question makes a JWT with a request id that nobody has seen.
func (s *Service) question(ctx context.Context, q *question) (*claims, []byte, error) {
	key, err := s.identityKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	request, err := strictjson.Marshal(q.request)
	if err != nil {
		return nil, nil, err
	}
	var id [16]byte
	if _, err := io.ReadFull(s.Rand, id[:]); err != nil {
		return nil, nil, err
	}
	hash, now := sha256.Sum256(request), s.Now()
	c := &claims{
		Action: q.action, Request: request, ExtraData: hex.EncodeToString(q.extra),
		RequestID: uid(id).stamped().String(), RequestHash: hex.EncodeToString(hash[:]),
		IssuedAt: now.Unix(), Expires: now.Add(ruleLife).Unix(),
	}
	payload, err := strictjson.Marshal(c)
	if err != nil {
		return nil, nil, err
	}
	jwt, err := signJWT(key, payload)
	return c, jwt, err
}

// judge says why an answer does not allow what was asked, or nothing.
func (c *claims) judge(alg string, key crypto.PublicKey, text string, now time.Time) string {
	got, err := verifyJWT(alg, key, text)
	if err != nil {
		return err.Error()
	}
	issued, err := strconv.ParseInt(string(got["iat"]), 10, 64)
	if err != nil {
		return "the answer must say when it was issued (iat)"
	}
	if age := now.Unix() - issued; age > int64(ruleLife.Seconds()) || -age > int64(ruleLife.Seconds()) {
		return "the answer is not of this minute"
	}
	if exp := got["exp"]; exp != nil {
		if until, err := strconv.ParseInt(string(exp), 10, 64); err != nil || until <= now.Unix() {
			return "the answer has expired"
		}
	}
	switch {
	case !isText(got["request_id"], c.RequestID):
		return "the answer is to another request"
	case !isText(got["request_hash"], c.RequestHash):
		return "the answer is about another request"
	case string(got["allow"]) != "true":
		return "the rule server said no"
	}
	return ""
}

func isText(raw json.RawMessage, want string) bool {
	var got string
	return json.Unmarshal(raw, &got) == nil && got == want
}
