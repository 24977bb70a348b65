package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// records returns what Compile makes of text, as KEY>DATA.
func records(text string) (out []string, err error) {
	err = Compile(strings.NewReader(text), func(key, data []byte) error {
		out = append(out, fmt.Sprintf("%s>%s", key, data))
		return nil
	})
	return out, err
}

func TestRecords(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"deny", ":deny", []string{">D\x00"}},
		{"allow", "1.2.3.4:allow", []string{"1.2.3.4>"}},
		{"variables", `127.:allow,RELAYCLIENT="",RBLSMTPD="",B=/a b/`, []string{"127.>+RELAYCLIENT=\x00+RBLSMTPD=\x00+B=a b\x00"}},
		{"deny with a variable", `=x:deny,A="1"`, []string{"=x>D\x00+A=1\x00"}},
		{"any byte quotes", "1.2.3.4:allow,A==x=", []string{"1.2.3.4>+A=x\x00"}},
		{"blanks at the end", "1.2.3.4:allow   \t \n1.2.3.4:deny", []string{"1.2.3.4>", "1.2.3.4>D\x00"}},
		{"blanks at the start", " 1.2.3.4:deny\n", []string{" 1.2.3.4>D\x00"}},
		{"no rules", "# 1.2.3.4:deny\n\nnocolon line\n  \n", nil},
		{"range", "10.0.0.1-2.3:deny", []string{"10.0.0.1.3>D\x00", "10.0.0.2.3>D\x00"}},
		{"range beyond 255", "1.2.3.254-300:deny", []string{"1.2.3.254>D\x00", "1.2.3.255>D\x00"}},
		{"range that is none", "5-3.:deny", nil},
		{"range without numbers", "1.-1:deny", []string{"1.0>D\x00", "1.1>D\x00"}},
		{"range that wraps", "18446744073709551617-1.:deny", []string{"1.>D\x00"}},
		{"leading zeros", "01-002.3:deny", []string{"1.3>D\x00", "2.3>D\x00"}},
		{"second dash", "1-1.3-4:deny", []string{"1.3-4>D\x00"}},
		{"no range in names", "=a-b.org:deny\njoe@1-2:deny", []string{"=a-b.org>D\x00", "joe@1-2>D\x00"}},
		{"NUL ends a number", "1\x00x-1\x00y.2:deny", []string{"1.2>D\x00"}},
		{"NUL elsewhere", "a\x00:deny,X\x00=\"\x00\"", []string{"a\x00>D\x00+X\x00=\x00\x00"}},
	} {
		got, err := records(test.text)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", test.name, err, diff)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, line := range []string{
		"1.2.3.4:denyfoo", "1.2.3.4:foo", "1.2.3.4:allow,A", "1.2.3.4:allow,A=", `1.2.3.4:allow,A="x`, `1.2.3.4:allow,A="x"junk`,
		"1.2.3.4:allow,", "1-x.:allow", "x-1.:allow", " 1-2:deny", "::1:allow", "1.2.3.4:Deny", "1.2.3.4: deny", "1.2.3.4:deny\r",
	} {
		got, err := records("first:deny\n" + line + " \t\nlast:deny\n")
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != line || len(got) != 1 {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	failure := errors.New("broken")
	broken := io.MultiReader(strings.NewReader("a:deny\nb:de"), iotest.ErrReader(failure))
	n := 0
	err := Compile(broken, func(key, data []byte) error { n++; return nil })
	if !errors.Is(err, errRead) || !errors.Is(err, failure) || n != 1 {
		t.Errorf("a reader that breaks: %v after %d records", err, n)
	}
	if err := Compile(strings.NewReader("1-3:deny\n"), func(key, data []byte) error { return failure }); err != failure {
		t.Errorf("a writer that breaks: %v", err)
	}
}

// Lines that do not fit a buffer are lines like others.
func TestLongLines(t *testing.T) {
	for _, n := range []int{65535, 65536, 65537, 200_000} {
		value := strings.Repeat("v", n-len("a:allow,V=//\n"))
		got, err := records("a:allow,V=/" + value + "/\nb:deny\n" + strings.Repeat("x", n) + "\nc:deny")
		if err != nil || len(got) != 3 || got[0] != "a>+V="+value+"\x00" || got[1] != "b>D\x00" || got[2] != "c>D\x00" {
			t.Errorf("line of %d bytes: %d records, %v", n, len(got), err)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, test := range []struct{ text, sum string }{
		{"", "ad292543e381bc50175b6b6452ccc06e579755910a528c8dc7d18019279e1f3f"},
		{":deny", "bc1f3fc9ba69e40377cfdf30d72aff5ae9409a07f3334849b247d40878d32049"},
		{"10.0.0.1-2.3:deny", "1dae1bc3dea5ecdfe02fc328dd80536b6afbb46b4418e3e0d61ae8b54b08afe1"},
		{`1.2.3.4:deny,X="1"`, "c4a05d3e183de8a4940cba11f675fc1f4774e2d2590d4a6b4ad837377e498879"},
		{"1.2.3.4:allow", "d2ab3dd6ef2582b78ab823ca02e99901ed35456d92c23aca4aaafaecc905e6cb"},
	} {
		sum := sha256.Sum256(compile(t, filepath.Join(t.TempDir(), "cdb"), test.text))
		if got := hex.EncodeToString(sum[:]); got != test.sum {
			t.Errorf("%q: sha256 %s", test.text, got)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, piece := range pieces {
		f.Add([]byte(piece + ":deny\n1-3." + piece + ":allow" + piece))
	}
	for _, line := range ipv6Lines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte(":include ")) {
			return // which opens files
		}
		lines := bytes.Count(text, []byte{'\n'}) + 1
		n := 0
		err := Compile(bytes.NewReader(text), func(key, data []byte) error {
			if n++; n > 256*lines+1 {
				t.Fatal("more records than the lines can make")
			}
			if string(key) == prefixesKey {
				return nil
			}
			if len(data) > 0 && (data[len(data)-1] != 0 || data[0] != 'D' && data[0] != '+') {
				t.Fatalf("data %q", data)
			}
			m := match{data: data, found: true}
			if deny := m.apply(nil); deny != bytes.HasPrefix(data, []byte("D\x00")) && !bytes.Contains(data, []byte("\x00D")) {
				t.Fatalf("%q denies: %v", data, deny)
			}
			return nil
		})
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || !bytes.Contains(text, []byte(syntax.Line))) {
			t.Fatal(err)
		}
	})
}
