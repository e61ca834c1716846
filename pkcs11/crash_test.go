//go:build cgo

package pkcs11

import (
	"context"
	"fmt"
)

// generateHelper makes pairs and wrapping keys with labels of their own, for
// ever.
func generateHelper(uri string) int {
	token, err := Open(uri, Options{})
	if err != nil {
		fmt.Print(err)
		return 1
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		c := Curves[i%len(Curves)]
		if _, err := token.GenerateSigner(context.Background(), c, fmt.Sprintf("signer-%x", newID()[:8])); err != nil {
			fmt.Print(err)
			return 1
		}
		token.uri.object = fmt.Sprintf("root-%x", newID()[:8])
		if err := token.EnsureKey(context.Background()); err != nil {
			fmt.Print(err)
			return 1
		}
	}
}
