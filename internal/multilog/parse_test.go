package multilog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	base := settings{size: defaultSize, count: defaultCount}
	with := func(size, count int, processor ...string) settings {
		s := settings{size: size, count: count}
		if len(processor) > 0 {
			s.processor = &processor[0]
		}
		return s
	}
	for _, test := range []struct {
		script string // words, separated by "|"
		want   plan
	}{
		{"", plan{}},
		{"t", plan{timestamp: true}},
		{"tXYZ", plan{timestamp: true}},
		{"e|t", plan{actions: []action{{toStderr, "", base}}}},
		{"|t", plan{}},
		{"+a*|-|exyz", plan{actions: []action{{selectLines, "a*", base}, {deselectLines, "", base}, {toStderr, "", base}}}},
		{"=f|=", plan{actions: []action{{toStatusFile, "f", base}, {toStatusFile, "", base}}}},
		{"./a|/b|c", plan{actions: []action{{toLogDir, "./a", base}, {toLogDir, "/b", base}}}},
		{"s5000|n3|.", plan{actions: []action{{toLogDir, ".", with(5000, 3)}}}},
		{"s1|n1|.", plan{actions: []action{{toLogDir, ".", with(4096, 2)}}}},
		{"s|n|.", plan{actions: []action{{toLogDir, ".", with(4096, 2)}}}},
		{"s5000k|n-4|.", plan{actions: []action{{toLogDir, ".", with(5000, 2)}}}},
		{"s99999999|.", plan{actions: []action{{toLogDir, ".", with(16777215, 10)}}}},
		{"s18446744073709556616|.", plan{actions: []action{{toLogDir, ".", with(5000, 10)}}}},
		{"!c|.|!|.", plan{actions: []action{{toLogDir, ".", with(defaultSize, 10, "c")}, {toLogDir, ".", with(defaultSize, 10, "")}}}},
	} {
		if diff := cmp.Diff(test.want, parse(strings.Split(test.script, "|")), cmp.AllowUnexported(plan{}, action{}, settings{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.script, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("t\n-*\n+*status:*\ns4096\nn5\n!gzip\n./main")
	f.Add("s18446744073709551615\nn18446744073709551615\n.")
	f.Fuzz(func(t *testing.T, script string) {
		for _, a := range parse(strings.Split(script, "\n")).actions {
			if a.size < minSize || a.size > maxSize || a.count < minCount {
				t.Errorf("%q: size %d, count %d", script, a.size, a.count)
			}
			if a.kind == toLogDir && a.text[0] != '.' && a.text[0] != '/' {
				t.Errorf("%q: directory %q", script, a.text)
			}
		}
	})
}
