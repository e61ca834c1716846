package node

import "github.com/sallyport/sallyport/enclave/internal/journal"

func init() {
	appliers = map[journal.Kind]applier{
		EntryIdentity:    apply(applyIdentity),
		EntryUser:        apply(applyUser),
		EntryAPIKey:      apply(applyAPIKey),
		EntryUserDeleted: apply(applyUserDeleted),
		EntryRule:        apply(applyRule),
		EntryPolicy:      apply(applyPolicy),
		EntryAttachment:  apply(applyAttachment),
		EntryStamp:       apply(applyStamp),

		EntryCreated:      apply(applyCreated),
		EntryShare:        apply(applyShare),
		EntryContribution: apply(applyContribution),
		EntryKeyDeleted:   apply(applyKeyDeleted),
		EntryExported:     apply(applyExported),
		EntryExport:       apply(applyExport),
		EntryRetired:      apply(applyRetired),
	}
	common = map[string]*endpoint{
		"/admin/create-user":      {getOrPost, admin, opAdmin, []string{"name", "label", "stamp_public_key"}, createUser},
		"/admin/generate-api-key": {getOrPost, admin, opAdmin, []string{"user_id"}, generateAPIKey},
		"/admin/revoke-api-key":   {del, admin, opAdmin, []string{"api_key"}, revokeAPIKey},
		"/admin/delete-user":      {del, admin, opAdmin, []string{"user_id"}, deleteUser},
		"/admin/list-users":       {get, admin, "", nil, listUsers},

		"/admin/policies/add-external-rule":        {post, admin, opAdmin, nil, addExternalRule},
		"/admin/policies/create-policy":            {post, admin, opAdmin, nil, createPolicy},
		"/admin/policies/attach-policy-to-user":    {post, admin, opAdmin, nil, attachToUser},
		"/admin/policies/attach-policy-to-key":     {post, admin, opAdmin, nil, attachToKey},
		"/admin/policies/detach-policy-from-user":  {post, admin, opAdmin, nil, detachFromUser},
		"/admin/policies/detach-policy-from-key":   {post, admin, opAdmin, nil, detachFromKey},
		"/admin/policies/add-rule-to-policy":       {post, admin, opAdmin, nil, addRuleToPolicy},
		"/admin/policies/remove-rule-from-policy":  {post, admin, opAdmin, nil, removeRuleFromPolicy},
		"/admin/policies/delete-policy":            {post, admin, opAdmin, nil, deletePolicy},
		"/admin/policies/delete-rule":              {post, admin, opAdmin, nil, deleteRule},
		"/admin/policies/list-all-rules":           {get, admin, "", nil, listRules},
		"/admin/policies/list-all-policies":        {get, admin, "", nil, listPolicies},
		"/admin/policies/get-effective-key-policy": {get, admin, "", []string{"key_id"}, getEffectivePolicy},

		"/identity-pubkey": {get, anybody, "", nil, getIdentity},
		"/create-room":     {post, anybody, "", nil, createRoom},
	}
	ofScheme = map[string]*endpoint{
		"/create":                 {getOrPost, owner, opCreate, nil, create},
		"/keygen":                 {post, owner, opKeygen, nil, keygen},
		"/sign":                   {post, owner, opSign, nil, sign},
		"/batch-sign":             {post, owner, opSign, nil, batchSign},
		"/derive-pubkey":          {post, owner, "", nil, derivePubkey},
		"/refresh":                {post, owner, opRefresh, nil, refresh},
		"/reshare/new-party":      {post, owner, opReshare, nil, reshareNew},
		"/reshare/existing-party": {post, owner, opReshare, nil, reshareExisting},

		"/import/key-importer":               {post, owner, opImport, nil, importKey},
		"/import/import-key-share-recipient": {post, owner, opImport, nil, importShare},

		"/backup/export-key-share/": {get, owner, opBackup, nil, backup},
		"/backup/import-key-share":  {post, owner, opBackup, nil, restore},

		"/export/full":      {post, owner, opExport, nil, exportFull},
		"/export/exportId/": {get, owner, "", nil, exportID},
		"/list-keys":        {get, owner, "", nil, listKeys},
		"/delete-key/":      {del, owner, opDelete, nil, deleteKey},
	}
}
