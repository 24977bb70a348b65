package preflight

import "testing"

func TestServiceOf(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/exim4.service\n":                                      "exim4.service",
		"0::/system.slice/system-postfix.slice/postfix@-.service\n":             "postfix.service",
		"0::/system.slice/system-postfix.slice/postfix@second.service\n":        "postfix@second.service",
		"0::/system.slice/app.service/sub/child\n":                              "app.service",
		"2:cpu:/x.service\n1:name=systemd:/system.slice/exim4.service\n0::/\n":  "exim4.service",
		"0::/user.slice/user-0.slice/session-3.scope\n":                         "",
		"0::/user.slice/user-1.slice/user@1.service/app.slice/server.service\n": "",
		"0::/init.scope\n": "",
		"0::/\n":           "",
		"":                 "",
		"broken":           "",
	} {
		if got := serviceOf(cgroups); got != want {
			t.Errorf("%q: %q, want %q", cgroups, got, want)
		}
	}
}
