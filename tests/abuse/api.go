package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/tests/appliance"
)

// Paths of the API.
const (
	organizations  = "/sallyport/v1/organizations"
	whoami         = appliance.Query + "whoami"
	createPath     = appliance.Submit + "create_private_keys"
	signPath       = appliance.Submit + "sign_raw_payload"
	exportPath     = appliance.Submit + "export_private_key"
	keysPath       = appliance.Submit + "create_api_keys"
	deleteKeysPath = appliance.Submit + "delete_api_keys"
	approvePath    = appliance.Submit + "approve_activity"
	rejectPath     = appliance.Submit + "reject_activity"
	quorumPath     = appliance.Submit + "update_root_quorum"
)

// Types of activities.
const (
	typeCreate     = "ACTIVITY_TYPE_CREATE_PRIVATE_KEYS_V2"
	typeSign       = "ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2"
	typeExport     = "ACTIVITY_TYPE_EXPORT_PRIVATE_KEY"
	typeKeys       = "ACTIVITY_TYPE_CREATE_API_KEYS_V2"
	typeDeleteKeys = "ACTIVITY_TYPE_DELETE_API_KEYS"
	typeUsers      = "ACTIVITY_TYPE_CREATE_USERS_V3"
	typeApprove    = "ACTIVITY_TYPE_APPROVE_ACTIVITY"
	typeReject     = "ACTIVITY_TYPE_REJECT_ACTIVITY"
	typeQuorum     = "ACTIVITY_TYPE_UPDATE_ROOT_QUORUM"
)

// Statuses of activities.
const (
	completed = "ACTIVITY_STATUS_COMPLETED"
	failed    = "ACTIVITY_STATUS_FAILED"
	waiting   = "ACTIVITY_STATUS_CONSENSUS_NEEDED"
	rejected  = "ACTIVITY_STATUS_REJECTED"
)

// An object is JSON to send.
type object map[string]any

// An activity is what the tests read of one.
type activity struct {
	ID          string                     `json:"id"`
	Status      string                     `json:"status"`
	Type        string                     `json:"type"`
	Fingerprint string                     `json:"fingerprint"`
	Result      map[string]json.RawMessage `json:"result"`
	Votes       []json.RawMessage          `json:"votes"`
	Failure     *struct{ Message string }  `json:"failure"`
}

func activityOf(r *appliance.Reply) (*activity, error) {
	var out struct{ Activity *activity }
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d: %s", r.Status, r.Body)
	}
	if err := json.Unmarshal(r.Body, &out); err != nil || out.Activity == nil {
		return nil, fmt.Errorf("no activity: %s", r.Body)
	}
	return out.Activity, nil
}

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}
