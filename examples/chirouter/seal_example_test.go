package chirouter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/securews/securews/middleware"
	"github.com/securews/securews/ws/seal"
)

// The directory of keys, and a rotation: the old key stays beside the new one for clients
// that know only the old one.
func Example_keyring() {
	first := must(seal.GenerateKey(seal.X25519, time.Now().Add(24*time.Hour)))
	keys := must(seal.NewKeyring(first))
	r := chi.NewRouter()
	r.Method(http.MethodGet, seal.DirectoryPath, keys)
	v, stop := serve(middleware.NewServer("", r))
	defer stop()

	next := must(seal.GenerateKey(seal.X25519, time.Now().Add(48*time.Hour)))
	if err := keys.Replace(next, first); err != nil {
		log.Fatal(err)
	}
	known, err := seal.FetchKeys(context.Background(), v.Client, v.url+seal.DirectoryPath)
	fmt.Println(len(known), err, known[0].String() == next.String())
	// Output:
	// 2 <nil> true
}
