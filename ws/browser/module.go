package browser

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"sync"
)

//go:embed dist/securews.js dist/seal.js
var dist embed.FS

// Root is where [Handler] is mounted.
const Root = "/securews/"

// Module is one of the two modules.
type Module int

const (
	Client Module = iota // connect
	Seal                 // seal: what encrypts the payload
)

var files = [...]string{Client: "securews.js", Seal: "seal.js"}

// built is a module and what hangs on its content.
type built struct {
	content, gzipped []byte
	sri              string // SRI §3.1
	tag              string // an entity tag without its quotes
}

// modules are built once: nothing can change them.
var modules = sync.OnceValue(func() (all [len(files)]built) {
	for m, name := range files {
		content, err := dist.ReadFile("dist/" + name)
		if err != nil {
			panic(err) // the embedding is the compiler's
		}
		sum := sha512.Sum384(content)
		tag := sha256.Sum256(content)
		all[m] = built{
			content: content,
			gzipped: compress(content),
			sri:     "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
			tag:     hex.EncodeToString(tag[:12]),
		}
	}
	return all
})

func compress(p []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a constant
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

// String is the name of the module's file.
func (m Module) String() string { return files[m] }

// Path is where [Handler] serves the module to be kept for ever: its content is part of
// the path.
func (m Module) Path() string { return Root + modules()[m].tag + "/" + files[m] }

// SRI is the module's integrity value (Subresource Integrity §3.1).
func (m Module) SRI() string { return modules()[m].sri }

// ImportMap gives a page the modules as "securews" and "securews/seal". Browsers that
// know the integrity part of import maps check it, the others pass over it. It is
// HTML to html/template, which takes an import map for no JavaScript.
func ImportMap() template.HTML {
	// Paths and hashes have no character that would end a script element.
	b, _ := json.Marshal(struct {
		Imports   map[string]string `json:"imports"`
		Integrity map[string]string `json:"integrity"`
	}{
		map[string]string{"securews": Client.Path(), "securews/seal": Seal.Path()},
		map[string]string{Client.Path(): Client.SRI(), Seal.Path(): Seal.SRI()},
	})
	return template.HTML(b)
}
