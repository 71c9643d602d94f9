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
		fails = `{"Action":"output","Package":"b","Test":"TestOne","Output":"--- PASS: TestOne (0.00s)\n"}
{"Action":"pass","Package":"b","Test":"TestOne"}
{"Action":"output","Package":"b","Test":"TestTwo","Output":"=== RUN   TestTwo\n"}
{"Action":"output","Package":"b","Test":"TestTwo","Output":"    b_test.go:7: wrong\n"}
{"Action":"fail","Package":"b","Test":"TestTwo"}
{"Action":"output","Package":"b","Output":"FAIL\tb\t0.1s\n"}
{"Action":"fail","Package":"b"}
`
		missing = `{"Action":"output","Package":"c","Test":"A","Output":"    c_test.go:7: no x here; install it with: get x\n"}
{"Action":"skip","Package":"c","Test":"A"}
{"Action":"output","Package":"c","Test":"B","Output":"    c_test.go:8: no x here; install it with: get x\n"}
{"Action":"skip","Package":"c","Test":"B"}
{"Action":"output","Package":"c","Test":"C","Output":"    c_test.go:9: no y here; install it with: get y\n"}
{"Action":"skip","Package":"c","Test":"C"}
`
		short = `{"Action":"output","Package":"c","Test":"TestLong","Output":"    c_test.go:7: waits 5 s\n"}
{"Action":"skip","Package":"c","Test":"TestLong"}
`
		noTests = `{"Action":"output","Package":"d","Output":"?   \td\t[no test files]\n"}
{"Action":"skip","Package":"d"}
`
		broken = `{"ImportPath":"e","Action":"build-output","Output":"e.go:1: undefined: x\n"}
`
		none = "0 tests were skipped, none of them for something that is missing here\n"
		get  = " tests were skipped, 3 of them for something that is missing here; to have them: get x && get y\n"
	)
	for _, tt := range []struct{ sentence, in, want string }{
		{"a package that passes takes a line", passes, "ok  \ta\t0.1s\n" + none},
		{"of one that fails, the tests that fail are printed", fails, "    b_test.go:7: wrong\nFAIL\tb\t0.1s\n" + none},
		{"tests that lack something are counted, and each command is named once", missing, "3" + get},
		{"other reasons count", short, "1" + none[1:]},
		{"beside the others", short + missing, "4" + get},
		{"a package without tests does not count", noTests, "?   \td\t[no test files]\n" + none},
		{"an error of the compiler is printed", broken, "e.go:1: undefined: x\n" + none},
		{"and so is a line that is not JSON", "go: no such tool\n", "go: no such tool\n" + none},
	} {
		var out strings.Builder
		if err := report(strings.NewReader(tt.in), &out); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v, printed\n%s\nwant\n%s", tt.sentence, err, &out, tt.want)
		}
	}
}
