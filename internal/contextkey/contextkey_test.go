package contextkey_test

import (
	"context"
	"testing"

	"github.com/securews/securews/internal/contextkey"
)

type foreignKey struct{}

// The voucher and the request id cross the upgrade. The values of the request, its
// cancellation and its deadline do not.
func TestDetached(t *testing.T) {
	t.Parallel()
	id := "id"
	var d context.Context = &contextkey.Detached{Voucher: 7, ID: &id}
	if d.Value(contextkey.Voucher{}) != 7 || d.Value(contextkey.RequestID{}) != &id {
		t.Errorf("%v, %v", d.Value(contextkey.Voucher{}), d.Value(contextkey.RequestID{}))
	}
	if v := d.Value(foreignKey{}); v != nil {
		t.Errorf("it carries %v", v)
	}
	if _, ok := d.Deadline(); ok || d.Done() != nil || d.Err() != nil {
		t.Error("it can end")
	}
	if v := (&contextkey.Detached{}).Value(contextkey.RequestID{}); v != nil {
		t.Errorf("without an id: %v", v)
	}
}

// Other packages can infer the type of the argument or write a literal of it. Both are its
// zero value.
func TestOurs(t *testing.T) {
	t.Parallel()
	if (contextkey.Ours{}).Valid() || !contextkey.Key().Valid() {
		t.Error("only Key is valid")
	}
}
