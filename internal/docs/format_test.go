package docs

import (
	"go/format"
	"testing"
)

// Every block of Go is formatted.
func TestBlocksOfGoAreFormatted(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "go" {
				continue
			}
			formatted, err := format.Source([]byte(b.text))
			if err != nil {
				t.Errorf("%s:%d: %v", b.path, b.line, err)
			} else if string(formatted) != b.text {
				t.Errorf("%s:%d: gofmt writes\n%s", b.path, b.line, formatted)
			}
		}
	}
}
