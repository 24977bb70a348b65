package multilog

import (
	"strings"
	"testing"
	"time"

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
	old := func(seconds time.Duration) settings {
		return settings{size: defaultSize, count: defaultCount, age: seconds * time.Second}
	}
	for _, test := range []struct {
		script string // words, separated by "|"
		want   plan
	}{
		{"", plan{}},
		{"t", plan{stamp: labelStamp}},
		{"tXYZ", plan{stamp: labelStamp}},
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
		{"T|.", plan{stamp: timeStamp, actions: []action{{toLogDir, ".", base}}}},
		{"T1|.|T", plan{actions: []action{{toLogDir, ".", base}}}},
		{"S1|.|S99999999|.|s5000|.", plan{actions: []action{{toLogDir, ".", with(4096, 10)}, {toLogDir, ".", with(99999999, 10)}, {toLogDir, ".", with(5000, 10)}}}},
		{"A60|.|A0|.|A99999999999|.", plan{actions: []action{{toLogDir, ".", old(60)}, {toLogDir, ".", old(0)}, {toLogDir, ".", old(maxAge)}}}},
		{"F|.|Z|.", plan{actions: []action{
			{toLogDir, ".", settings{size: defaultSize, count: defaultCount, sync: true}},
			{toLogDir, ".", settings{size: defaultSize, count: defaultCount, sync: true, compress: true}}}}},
		{"S|S-1|S5k|A|A1d|Ax|F1|Z1|Zz|.", plan{actions: []action{{toLogDir, ".", base}}}},
	} {
		if diff := cmp.Diff(test.want, parse(strings.Split(test.script, "|")), cmp.AllowUnexported(plan{}, action{}, settings{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.script, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("t\n-*\n+*status:*\ns4096\nn5\n!gzip\n./main")
	f.Add("s18446744073709551615\nn18446744073709551615\n.")
	f.Add("T\nS99999999999999999999999\nA18446744073709551615\nF\nZ\n/")
	f.Fuzz(func(t *testing.T, script string) {
		for _, a := range parse(strings.Split(script, "\n")).actions {
			if a.size > maxSize && !strings.Contains(script, "S") || a.age < 0 || a.age > maxAge*time.Second {
				t.Errorf("%q: size %d, age %v", script, a.size, a.age)
			}
			if a.size < minSize || a.count < minCount {
				t.Errorf("%q: size %d, count %d", script, a.size, a.count)
			}
			if a.kind == toLogDir && a.text[0] != '.' && a.text[0] != '/' {
				t.Errorf("%q: directory %q", script, a.text)
			}
		}
	})
}
