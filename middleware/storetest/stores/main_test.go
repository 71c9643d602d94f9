package stores

import (
	"os"
	"testing"
)

// TestMain is a server in the processes that the tests start.
func TestMain(m *testing.M) {
	if address := os.Getenv(storeVariable); address != "" {
		os.Exit(serve(address))
	}
	code := m.Run()
	if server.Server != nil {
		server.Close()
	}
	os.Exit(code)
}
