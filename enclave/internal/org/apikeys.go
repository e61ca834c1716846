package org

import "fmt"

type createAPIKeysIntent struct {
	APIKeys []apiKeyParams `json:"apiKeys" strict:"required"`
	UserID  string         `json:"userId" strict:"required"`
}

var createAPIKeys = define("create_api_keys",
	map[string]string{"ACTIVITY_TYPE_CREATE_API_KEYS_V2": "createApiKeysIntentV2"},
	spec[createAPIKeysIntent, *user, none]{
		valid: func(in *createAPIKeysIntent) error {
			if len(in.APIKeys) == 0 {
				return bad("bad request body: parameters.apiKeys must not be empty")
			}
			return validAPIKeys("parameters.apiKeys", in.APIKeys, map[credentialKey]bool{})
		},
		check: func(o *organization, in *createAPIKeysIntent) (*user, error) {
			u, err := o.findUser("parameters.userId", in.UserID)
			if err != nil {
				return nil, err
			}
			if len(u.creds)+len(in.APIKeys) > maxKeysPerUser {
				return nil, bad("parameters.apiKeys: a user has at most %d API keys", maxKeysPerUser)
			}
			return u, o.free("parameters.apiKeys", in.APIKeys)
		},
		apply: func(o *organization, m made, in *createAPIKeysIntent, _ none) {
			u, err := o.findUser("", in.UserID)
			if err != nil {
				return // check has asked
			}
			for i := range in.APIKeys {
				o.addCredential(u, in.APIKeys[i].credential(objectID("api key", o.id, m.fingerprint, i), m.timeMs))
			}
		},
		result: func(j job, in *createAPIKeysIntent, _ none) (string, any) {
			ids := []id{}
			for i := range in.APIKeys {
				ids = append(ids, objectID("api key", j.org, j.fingerprint, i))
			}
			return "createApiKeysResult", map[string]any{"apiKeyIds": ids}
		},
	})

type deleteAPIKeysIntent struct {
	UserID    string   `json:"userId" strict:"required"`
	APIKeyIDs []string `json:"apiKeyIds" strict:"required"`
}

var deleteAPIKeys = define("delete_api_keys",
	map[string]string{"ACTIVITY_TYPE_DELETE_API_KEYS": "deleteApiKeysIntent"},
	spec[deleteAPIKeysIntent, []*credential, none]{
		valid: func(in *deleteAPIKeysIntent) error {
			if len(in.APIKeyIDs) == 0 {
				return bad("bad request body: parameters.apiKeyIds must not be empty")
			}
			return nil
		},
		check: checkDeleteAPIKeys,
		apply: func(o *organization, m made, in *deleteAPIKeysIntent, _ none) {
			creds, err := o.findCredentials(in)
			if err != nil {
				return // check has asked
			}
			for _, c := range creds {
				o.removeCredential(c, m.timeMs)
			}
		},
		result: func(_ job, in *deleteAPIKeysIntent, _ none) (string, any) {
			return "deleteApiKeysResult", map[string]any{"apiKeyIds": in.APIKeyIDs}
		},
	})

// checkDeleteAPIKeys refuses to take the root quorum its last keys: nobody
// could give them back.
func checkDeleteAPIKeys(o *organization, in *deleteAPIKeysIntent) ([]*credential, error) {
	creds, err := o.findCredentials(in)
	if err != nil {
		return nil, err
	}
	if o.able(o.quorum.users, creds) < o.quorum.threshold {
		return nil, bad("parameters.apiKeyIds: without these keys the root quorum of %d could not be met again", o.quorum.threshold)
	}
	return creds, nil
}

func (o *organization) findCredentials(in *deleteAPIKeysIntent) ([]*credential, error) {
	u, err := o.findUser("parameters.userId", in.UserID)
	if err != nil {
		return nil, err
	}
	var out []*credential
	seen := map[string]bool{}
	for i, text := range in.APIKeyIDs {
		where := fmt.Sprintf("parameters.apiKeyIds[%d]", i)
		if seen[text] {
			return nil, bad("bad request body: %s is listed twice", where)
		}
		seen[text] = true
		c := u.credential(text)
		if c == nil {
			return nil, notFound("%s: the user has no such API key", where)
		}
		out = append(out, c)
	}
	return out, nil
}

func (u *user) credential(text string) *credential {
	for _, c := range u.creds {
		if c.id.String() == text {
			return c
		}
	}
	return nil
}

// findUser resolves a user id of this organization.
func (o *organization) findUser(where, text string) (*user, error) {
	uid, ok := parseID(text)
	if !ok {
		return nil, bad("bad request body: %s must be a lower-case UUID", where)
	}
	if u := o.users[uid]; u != nil {
		return u, nil
	}
	return nil, notFound("%s: no such user", where)
}
