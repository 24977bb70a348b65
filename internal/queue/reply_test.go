package queue

import (
	"strings"
	"testing"
)

func TestReply(t *testing.T) {
	for _, test := range []struct {
		result Result
		want   string
	}{
		{Result{Code: 0, Number: 7}, "451 "}, // nobody asks
		{Result{Code: 1}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 10}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 11}, "554 envelope address too long for qq (#5.1.3)"},
		{Result{Code: 12}, "554 qq permanent problem (#5.3.0)"},
		{Result{Code: 31}, "554 mail server permanently rejected message (#5.3.0)"},
		{Result{Code: 31, Text: "Dno thanks"}, "554 mail server permanently rejected message (#5.3.0)"},
		{Result{Code: 40}, "554 qq permanent problem (#5.3.0)"},
		{Result{Code: 41}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 51}, "451 qq out of memory (#4.3.0)"},
		{Result{Code: 52}, "451 qq timeout (#4.3.0)"},
		{Result{Code: 53}, "451 qq write error or disk full (#4.3.0)"},
		{Result{Code: 54}, "451 qq read error (#4.3.0)"},
		{Result{Code: 55}, "451 qq unable to read configuration (#4.3.0)"},
		{Result{Code: 56}, "451 qq trouble making network connection (#4.3.0)"},
		{Result{Code: 57}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 61}, "451 qq trouble in home directory (#4.3.0)"},
		{Result{Code: 62}, "451 qq trouble creating files in queue (#4.3.0)"},
		{Result{Code: 63}, "451 qq trouble creating files in queue (#4.3.0)"},
		{Result{Code: 64}, "451 qq trouble creating files in queue (#4.3.0)"},
		{Result{Code: 65}, "451 qq trouble creating files in queue (#4.3.0)"},
		{Result{Code: 66}, "451 qq trouble creating files in queue (#4.3.0)"},
		{Result{Code: 71}, "451 mail server temporarily rejected message (#4.3.0)"},
		{Result{Code: 72}, "451 connection to mail server timed out (#4.4.1)"},
		{Result{Code: 73}, "451 connection to mail server rejected (#4.4.1)"},
		{Result{Code: 74}, "451 communication with mail server failed (#4.4.2)"},
		{Result{Code: 75}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 81}, "451 qq internal bug (#4.3.0)"},
		{Result{Code: 82}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 82, Text: "DX"}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 82, Text: "Dno thanks (#5.7.1)"}, "554 no thanks (#5.7.1)"},
		{Result{Code: 82, Text: "Zlater (#4.7.1)"}, "451 later (#4.7.1)"},
		{Result{Code: 82, Text: "hello"}, "451 ello"},
		{Result{Code: 82, Text: "Done\ntwo"}, "554 one\ntwo"},
		{Result{Code: 82, Text: "D" + strings.Repeat("y", 254)}, "554 " + strings.Repeat("y", 254)},
		{Result{Code: 88}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 91}, "451 qq internal bug (#4.3.0)"},
		{Result{Code: 99}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 100}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 111}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: 115}, "554 envelope address too long for qq (#5.1.3)"},
		{Result{Code: 120}, "451 unable to exec qq (#4.3.0)"},
		{Result{Code: 255}, "451 qq temporary problem (#4.3.0)"},
		{Result{Code: Crashed}, "451 qq crashed (#4.3.0)"},
		{Result{Code: WaitFailed}, "451 qq waitpid surprise (#4.3.0)"},
		{Result{Code: NotSubmitted}, "451 qqt failure (#4.3.0)"},
	} {
		permanent, text := test.result.Reply()
		got := "451 " + text
		if permanent {
			got = "554 " + text
		}
		if got != test.want {
			t.Errorf("%+v: got %q, want %q", test.result, got, test.want)
		}
	}
}
