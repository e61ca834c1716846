package kms

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sallyport/sallyport/attestation"
)

// keyName is the ARN of a KMS key, apart.
type keyName struct {
	partition, region, account string
}

func (k *keyName) inRegion(o *kms.Options) { o.Region = k.region }

var errKeyARN = errors.New("kms: key: must be the ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID")

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	roleForm    = regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)
	regionForm  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	keyForm     = regexp.MustCompile(`^key/[A-Za-z0-9-]{1,64}$`)
)

func checkPolicy(account, role string, measurements []attestation.Measurements, manifestHash []byte) error {
	switch {
	case !accountForm.MatchString(account):
		return errors.New("kms: account: must have 12 digits")
	case !roleForm.MatchString(role) || len(role) > 512:
		return errors.New("kms: role: must be the name of an IAM role, with its path or without")
	case len(manifestHash) != 32:
		return errors.New("kms: manifest hash: must have 32 bytes")
	case len(measurements) == 0:
		return errors.New("kms: measurements: must not be empty")
	}
	var zero [attestation.PCRSize]byte
	seen := map[[attestation.PCRSize]byte]bool{}
	for i, m := range measurements {
		if m.PCR0 == zero || m.PCR1 == zero || m.PCR2 == zero {
			return fmt.Errorf("kms: measurements[%d]: has an all-zero register, which is a debug-mode enclave", i)
		}
		if seen[m.PCR0] {
			return fmt.Errorf("kms: measurements[%d]: has the PCR0 of another one", i)
		}
		seen[m.PCR0] = true
	}
	return nil
}

// parseKeyARN takes no alias: the policy and the manifest are for one key.
func parseKeyARN(s string) (*keyName, error) {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "kms" || !regionForm.MatchString(a.Region) || !regionForm.MatchString(a.Partition) ||
		!accountForm.MatchString(a.AccountID) || !keyForm.MatchString(a.Resource) {
		return nil, errKeyARN
	}
	return &keyName{partition: a.Partition, region: a.Region, account: a.AccountID}, nil
}
