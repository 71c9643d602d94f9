package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const (
		passes = `{"Action":"output","Package":"a","Test":"TestOne","Output":"of a test that passes\n"}
{"Action":"pass","Package":"a","Test":"TestOne"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
`
		fails = `{"Action":"output","Package":"b","Test":"TestTwo","Output":"    b_test.go:7: wrong\n"}
{"Action":"fail","Package":"b","Test":"TestTwo"}
{"Action":"output","Package":"b","Output":"FAIL\tb\t0.1s\n"}
{"Action":"fail","Package":"b"}
`
		missing = `{"Action":"output","Package":"c","Test":"TestNode","Output":"    c_test.go:7: no node here; install it with: apt-get install -y nodejs\n"}
{"Action":"skip","Package":"c","Test":"TestNode"}
{"Action":"output","Package":"c","Test":"TestAgain","Output":"    c_test.go:8: no node here; install it with: apt-get install -y nodejs\n"}
{"Action":"skip","Package":"c","Test":"TestAgain"}
{"Action":"output","Package":"c","Test":"TestCurl","Output":"    c_test.go:9: no curl here; install it with: apt-get install -y curl\n"}
{"Action":"skip","Package":"c","Test":"TestCurl"}
`
		short = `{"Action":"output","Package":"c","Test":"TestLong","Output":"    c_test.go:7: waits 5 s\n"}
{"Action":"skip","Package":"c","Test":"TestLong"}
`
		noTests = `{"Action":"output","Package":"d","Output":"?   \td\t[no test files]\n"}
{"Action":"skip","Package":"d"}
`
		broken = `{"ImportPath":"e","Action":"build-output","Output":"e.go:1: undefined: x\n"}
`
	)
	for _, tt := range []struct{ sentence, in, want string }{
		{"a package that passes takes a line", passes, "ok  \ta\t0.1s\n0 tests were skipped, none of them for something that is missing here\n"},
		{"one that fails is printed whole", fails, "    b_test.go:7: wrong\nFAIL\tb\t0.1s\n0 tests were skipped, none of them for something that is missing here\n"},
		{"tests that lack something are counted, and each command is named once", missing, "3 tests were skipped, 3 of them for something that is missing here; to have them: apt-get install -y curl && apt-get install -y nodejs\n"},
		{"other reasons count", short, "1 tests were skipped, none of them for something that is missing here\n"},
		{"beside the others", short + missing, "4 tests were skipped, 3 of them for something that is missing here; to have them: apt-get install -y curl && apt-get install -y nodejs\n"},
		{"a package without tests does not count", noTests, "?   \td\t[no test files]\n0 tests were skipped, none of them for something that is missing here\n"},
		{"an error of the compiler is printed", broken, "e.go:1: undefined: x\n0 tests were skipped, none of them for something that is missing here\n"},
		{"and so is a line that is not JSON", "go: no such tool\n", "go: no such tool\n0 tests were skipped, none of them for something that is missing here\n"},
	} {
		var out strings.Builder
		if err := report(strings.NewReader(tt.in), &out); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v, printed\n%s\nwant\n%s", tt.sentence, err, &out, tt.want)
		}
	}
}
