package browser_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/securews/securews/internal/needed"
)

func node(t *testing.T) string {
	t.Helper()
	return tool(t, "node")
}

// tool returns the path of node or npm. A test without it or the toolchain is
// skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	program := needed.Program(t, name, "apt-get install -y nodejs npm")
	needed.NodeModule(t, ".", "ws/browser", "ws")
	return program
}

// run runs node and returns its output.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), node(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The committed sources and toolchain build exactly the files in dist.
func TestDistIsBuiltFromSrc(t *testing.T) {
	needed.WithoutRace(t)
	node(t)
	out := t.TempDir()
	run(t, "node_modules/typescript/bin/tsc", "--noEmit")
	run(t, "build.js", out)
	built, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	if len(built) != len(kept) {
		t.Errorf("%d files built, %d in dist", len(built), len(kept))
	}
	for _, f := range built {
		want, _ := os.ReadFile(filepath.Join(out, f.Name()))
		if got, err := os.ReadFile(filepath.Join("dist", f.Name())); err != nil || !bytes.Equal(got, want) {
			t.Errorf("dist/%s is not what src builds (%v): npm run build", f.Name(), err)
		}
	}
}

// The module takes at most 6,000 bytes as gzip -9 counts. The bound is never raised.
func TestModuleIsSmall(t *testing.T) {
	program := needed.Program(t, "gzip", "apt-get install -y gzip")
	small := must(exec.CommandContext(t.Context(), program, "-9", "-c", "dist/securews.js").Output())(t)
	t.Logf("%d bytes", len(small))
	if len(small) > 6000 {
		t.Errorf("%d bytes, want at most 6,000", len(small))
	}
}

// The tests in fake time, and of the sealing module against the shared vectors.
func TestNode(t *testing.T) {
	needed.WithoutRace(t)
	node(t)
	files, err := filepath.Glob("test/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d test files, %v", len(files), err)
	}
	out := run(t, append([]string{"--test", "--test-reporter=tap"}, files...)...)
	t.Log(out[strings.LastIndex(out, "\n# tests"):])
}

// importer is a TypeScript program that imports the package by its name. It compiles only if
// the types are found and are not any.
const importer = `
import { connect, fetchTicket, TicketError, type Client, type Ending, type Ticket } from "securews";
import { seal, type SealOptions } from "securews/seal";

const sealing: SealOptions = { audience: "chat.example" };
const client: Client = connect({ url: "wss://app.example/ws", protocols: "chat", seal: seal(sealing) });
client.addEventListener("state", ({ detail }) => detail.delay?.toFixed());
export const ending: Promise<Ending> = client.closed;
export const ticket: Promise<Ticket> = fetchTicket("https://app.example/ticket");
export const status: number = new TicketError(401).status;
connect({
  url: "wss://app.example/ws", ticket: undefined, queue: undefined,
  heartbeat: { every: undefined }, times: { first: undefined }, seal: undefined,
});
// @ts-expect-error
connect({});
// @ts-expect-error
seal({});
`

// The files that npm would publish are installed in another directory, without a network, and
// imported by name.
func TestPackage(t *testing.T) {
	needed.WithoutRace(t)
	node(t)
	npm := tool(t, "npm")
	away := t.TempDir()
	in := func(dir, program string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "npm_config_cache="+filepath.Join(away, ".npm"), "npm_config_update_notifier=false")
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	archive := in(".", npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", away)
	packed := filesOf(t, filepath.Join(away, archive))
	if want := []string{
		"package/LICENSE", "package/README.md", "package/dist/seal.LICENSE.txt", "package/dist/seal.d.ts", "package/dist/seal.js",
		"package/dist/seal.js.map", "package/dist/securews.d.ts",
		"package/dist/securews.js", "package/dist/securews.js.map", "package/package.json",
	}; !slices.Equal(packed, want) {
		t.Errorf("packed %q, want %q", packed, want)
	}

	in(away, npm, "install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", archive)
	for name, want := range map[string]string{"securews": "TicketError connect fetchTicket", "securews/seal": "seal"} {
		const names = `import(process.argv[1]).then((m) => console.log(Object.keys(m).sort().join(" ")))`
		if got := in(away, node(t), "-e", names, name); got != want {
			t.Errorf("%s exports %q, want %q", name, got, want)
		}
	}

	if err := os.WriteFile(filepath.Join(away, "importer.mts"), []byte(importer), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "node_modules/typescript/bin/tsc", "--noEmit", "--strict",
		"--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext",
		"--moduleResolution", "nodenext", filepath.Join(away, "importer.mts"))
}

// filesOf returns the names of the files in a .tgz, sorted.
func filesOf(t *testing.T, path string) (names []string) {
	t.Helper()
	f := must(os.Open(path))(t)
	defer f.Close()
	for archive := tar.NewReader(must(gzip.NewReader(f))(t)); ; {
		h, err := archive.Next()
		if err == io.EOF {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// The lock file contains versions and hashes, but no addresses of registries.
func TestLockFileNamesNoHost(t *testing.T) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) || !bytes.Contains(lock, []byte(`"integrity"`)) {
		t.Error("made without --omit-lockfile-registry-resolved")
	}
}
