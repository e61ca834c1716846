package org

import (
	"bytes"
	"encoding/json"
)

// dropNulls shows an intent as the submitter wrote it, without the object
// members that are null: null is absent.
func dropNulls(raw json.RawMessage) json.RawMessage {
	if !bytes.Contains(raw, []byte("null")) {
		return raw
	}
	switch raw[0] {
	case '{':
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return raw
		}
		for name, value := range members {
			if string(value) == "null" {
				delete(members, name)
			} else {
				members[name] = dropNulls(value)
			}
		}
		return remarshal(raw, members)
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return raw
		}
		for i := range items {
			items[i] = dropNulls(items[i])
		}
		return remarshal(raw, items)
	}
	return raw
}

func remarshal(raw json.RawMessage, v any) json.RawMessage {
	if out, err := json.Marshal(v); err == nil {
		return out
	}
	return raw
}
