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
	"errors"
	"html/template"
	"sync"
)

//go:embed dist/securews.js dist/seal.js dist/securews.js.map dist/seal.js.map
var dist embed.FS

// Root is the pattern under which [Handler] is mounted in an http.ServeMux. It names the method,
// so that it does not conflict with a pattern such as "GET /"; it includes HEAD.
const Root = "GET " + root

const root = "/securews/"

// Module is one of the two modules. The methods of any other value panic.
type Module int

const (
	Client Module = iota // connect
	Seal                 // seal: encrypts the payload
)

var files = [...]string{Client: "securews.js", Seal: "seal.js"}

// built is a module and the values derived from its content.
type built struct {
	content, gzipped []byte
	sourceMap        []byte
	sri              string // SRI §3.1
	tag              string // an entity tag without its quotes
}

// modules are computed once: they never change.
var modules = sync.OnceValue(func() (all [len(files)]built) {
	for m, name := range files {
		content, err := dist.ReadFile("dist/" + name)
		sourceMap, noMap := dist.ReadFile("dist/" + name + ".map")
		if err = errors.Join(err, noMap); err != nil {
			panic(err) // the files are embedded by the compiler
		}
		sum := sha512.Sum384(content)
		tag := sha256.Sum256(content)
		all[m] = built{
			content:   content,
			gzipped:   compress(content),
			sourceMap: sourceMap,
			sri:       "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
			tag:       hex.EncodeToString(tag[:12]),
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

// String returns the name of the module's file.
func (m Module) String() string { return files[m] }

// Path returns the path at which [Handler] serves the module to be cached for ever: it
// contains a hash of the content.
func (m Module) Path() string { return root + modules()[m].tag + "/" + files[m] }

// SRI returns the module's integrity value (Subresource Integrity §3.1).
func (m Module) SRI() string { return modules()[m].sri }

// ImportMap returns the import map of a page, with the modules as "securews" and
// "securews/seal". Browsers that do not support the integrity part of import maps ignore it.
// The result is template.HTML, because html/template does not treat an import map as
// JavaScript.
func ImportMap() template.HTML {
	// Paths and hashes contain no character that ends a script element.
	b, _ := json.Marshal(struct {
		Imports   map[string]string `json:"imports"`
		Integrity map[string]string `json:"integrity"`
	}{
		map[string]string{"securews": Client.Path(), "securews/seal": Seal.Path()},
		map[string]string{Client.Path(): Client.SRI(), Seal.Path(): Seal.SRI()},
	})
	return template.HTML(b)
}
