package middleware_test

import (
	"strings"
	"testing"
	"time"

	"github.com/securews/securews/middleware"
)

// plan is a claim that an issuer writes, in which users may name members.
type plan struct {
	Admin bool   `json:"admin"`
	Kind  string `json:"kind,omitempty"`
	Limits
	Within   *plan           `json:"within"`
	List     []plan          `json:"list"`
	Named    map[string]plan `json:"named"`
	Until    time.Time       `json:"until"`
	Ignored  bool            `json:"-"`
	Untagged bool
}

// Limits is embedded.
type Limits struct {
	Rate int `json:"rate"`
}

// RFC 8259 §8.3: names are equal if all characters are. encoding/json has a member of another letter
// case, and one with U+017F or U+212A, set the field (CWE-178).
func TestMembersOfAClaimAreComparedExactly(t *testing.T) {
	const key = middleware.ClaimKey[plan]("plan")
	for _, tt := range []struct{ name, claim, fault string }{
		{"the names of the tags", `{"admin":true,"kind":"free","rate":1,"until":"2026-01-02T03:04:05Z","Untagged":true}`, ""},
		{"a member without a field", `{"-":true,"color":"ADMIN"}`, ""},
		{"a member within, of the right name", `{"within":{"admin":true},"list":[{"kind":"a"}],"named":{"ADMIN":{"admin":true}}}`, ""},
		{"upper case", `{"ADMIN":true}`, `"ADMIN"`},
		{"both", `{"admin":false,"Admin":true}`, `"Admin"`},
		{"escaped", `{"\u0041dmin":true}`, `"Admin"`},
		{"the Kelvin sign", "{\"\u212aind\":\"paid\"}", "\u212aind"},
		{"a field of an embedded struct", `{"Rate":1000}`, `"Rate"`},
		{"a field without a tag", `{"untagged":true}`, `"untagged"`},
		{"within a pointer", `{"within":{"Admin":true}}`, `"Admin"`},
		{"within a list", `{"list":[{"admin":false},{"Admin":true}]}`, `"Admin"`},
		{"within a map", `{"named":{"a":{"Admin":true}}}`, `"Admin"`},
	} {
		value, ok, err := key.Of(middleware.Principal{Claims: map[string]string{"plan": tt.claim}})
		if tt.fault == "" {
			if err != nil || !ok {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err == nil || ok || value.Admin || value.Kind != "" || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %+v, %v", tt.name, value, err)
		}
	}
}
