package control

import (
	"os"
	"path/filepath"
)

// Home returns qmail's home directory, an absolute path: QMAILHOME of the
// environment, or /var/qmail.
func Home() string {
	home := os.Getenv("QMAILHOME")
	if home == "" {
		return "/var/qmail"
	}
	absolute, err := filepath.Abs(home)
	if err != nil {
		return home
	}
	return absolute
}
